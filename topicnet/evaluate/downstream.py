"""Agreement of topics with document labels: clustering scores of the top topic, and a classifier on theta."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.errors import InputError

FOLDS = 5


@dataclass(frozen=True)
class Agreement:
    """Agreement of a clustering with labels.

    Parameters
    ----------
    purity : float
        Fraction of documents whose label is the most frequent one in their cluster, in (0, 1]. It grows with the number
        of clusters.
    nmi : float
        Normalised mutual information: mutual information divided by the mean of both entropies, in [0, 1].
    ari : float
        Adjusted Rand index, at most 1; its expected value is 0 for random clusters.

    Examples
    --------
    >>> from topicnet.evaluate.downstream import Agreement
    >>> Agreement(purity=0.75, nmi=0.5, ari=0.25).purity
    0.75
    """

    purity: float
    nmi: float
    ari: float


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of two classifiers and of the majority-class baseline.

    Parameters
    ----------
    theta : float
        Fraction of test documents whose label logistic regression on theta predicts, in [0, 1].
    tfidf : float
        The same on TF-IDF weights of the counts.
    commonest : float
        The same when the most frequent training label is predicted for every document.

    Examples
    --------
    >>> from topicnet.evaluate.downstream import Accuracy
    >>> found = Accuracy(theta=0.75, tfidf=0.5, commonest=0.25)
    >>> found.theta - found.commonest
    0.5
    """

    theta: float
    tfidf: float
    commonest: float


def agreement(clusters: NDArray[np.integer], labels: NDArray[np.generic]) -> Agreement:
    """Score how well the top topics of documents agree with their labels.

    Parameters
    ----------
    clusters : ndarray of shape (D,), int
        Cluster of each document, such as its topic of largest proportion.
    labels : ndarray of shape (D,)
        Label of each document: strings or numbers.

    Returns
    -------
    Agreement
        Purity, normalised mutual information and adjusted Rand index.

    Raises
    ------
    InputError
        If there is no document, or the numbers of clusters and labels differ.

    Notes
    -----
    Purity: Manning, Raghavan & Schuetze 2008, section 16.3. The other two are scikit-learn's
    `normalized_mutual_info_score` and `adjusted_rand_score`.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.evaluate.downstream import agreement
    >>> agreement(np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "a"])).purity
    0.75
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    if len(clusters) != len(labels) or len(labels) == 0:
        raise InputError(f"{len(clusters)} clusters and {len(labels)} labels given; expected one of each a document")
    _, label = np.unique(labels, return_inverse=True)
    _, cluster = np.unique(clusters, return_inverse=True)
    table = csr_matrix((np.ones(len(label)), (cluster, label))).toarray()  # clusters x labels
    return Agreement(
        purity=float(table.max(axis=1).sum() / len(label)),
        nmi=float(normalized_mutual_info_score(label, cluster)),
        ari=float(adjusted_rand_score(label, cluster)),
    )


def accuracy(
    train: tuple[NDArray[np.floating], csr_matrix, NDArray[np.generic]],
    test: tuple[NDArray[np.floating], csr_matrix, NDArray[np.generic]],
) -> Accuracy:
    """Test accuracy of logistic regression on theta, and of the same classifier on TF-IDF for comparison.

    Parameters
    ----------
    train, test : tuple of (theta, counts, labels)
        Training and test documents: topic proportions (D, K), sparse counts (D, V), labels (D,).

    Returns
    -------
    Accuracy
        Fractions of test documents, each in [0, 1].

    Raises
    ------
    InputError
        If the training documents have fewer than two distinct labels, or there is no test document.

    Notes
    -----
    Both classifiers are scikit-learn's `LogisticRegression(C=10)`. Each column of theta is divided by its largest value
    first; TF-IDF takes the logarithm of counts.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from topicnet.evaluate.downstream import accuracy
    >>> labels = np.array(["a"] * 6 + ["b"] * 6)
    >>> theta = np.where(labels[:, None] == ["a", "b"], 0.9, 0.1)
    >>> documents = (theta, csr_matrix(np.ones((12, 3))), labels)
    >>> accuracy(documents, documents).theta
    1.0
    """
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import MaxAbsScaler

    if len(np.unique(train[2])) < 2 or len(test[2]) == 0:
        raise InputError("fewer than two labels to learn, or no labelled document to test: a classifier needs both")
    # Columns of theta differ in size by orders of magnitude; unscaled, the penalty would suppress the small ones.
    scale = MaxAbsScaler().fit(train[0])
    known, asked = (_without_stored_zeros(counts) for counts in (train[1], test[1]))
    weigh = TfidfTransformer(sublinear_tf=True).fit(known)
    names, frequencies = np.unique(train[2], return_counts=True)
    return Accuracy(
        theta=_classified(scale.transform(train[0]), train[2], scale.transform(test[0]), test[2]),
        tfidf=_classified(weigh.transform(known), train[2], weigh.transform(asked), test[2]),
        commonest=float((test[2] == names[frequencies.argmax()]).mean()),
    )


def cross_validated_accuracy(
    theta: NDArray[np.floating], counts: csr_matrix, labels: NDArray[np.generic]
) -> Accuracy | None:
    """Cross-validated accuracy of logistic regression on theta and on TF-IDF, over five folds of one corpus.

    Parameters
    ----------
    theta : ndarray of shape (D, K)
        Topic proportions.
    counts : sparse matrix of shape (D, V)
        Counts of the same documents.
    labels : ndarray of shape (D,)
        Label of each document.

    Returns
    -------
    Accuracy or None
        Means over documents; None if there are fewer than two distinct labels, or fewer than five documents of one.

    Notes
    -----
    Folds are stratified by label and shuffled under a fixed seed. See :func:`accuracy` for the classifiers.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from topicnet.evaluate.downstream import cross_validated_accuracy
    >>> labels = np.array(["a", "b"] * 5)
    >>> theta = np.where(labels[:, None] == ["a", "b"], 0.9, 0.1)
    >>> cross_validated_accuracy(theta, csr_matrix(np.ones((10, 3))), labels).theta
    1.0
    """
    from sklearn.model_selection import StratifiedKFold

    frequencies = np.unique(labels, return_counts=True)[1]
    if len(frequencies) < 2 or frequencies.min() < FOLDS:
        return None
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(theta, labels)
    found = [
        (len(test), accuracy((theta[fit], counts[fit], labels[fit]), (theta[test], counts[test], labels[test])))
        for fit, test in folds
    ]
    sizes = np.array([size for size, _ in found])
    mean = [np.average([getattr(one, name) for _, one in found], weights=sizes) for name in Accuracy.__annotations__]
    return Accuracy(*map(float, mean))


def _without_stored_zeros(counts: csr_matrix) -> csr_matrix:
    """Copy counts without their stored zeros, which have no logarithm."""
    copy = csr_matrix(counts, copy=True)
    copy.eliminate_zeros()
    return copy


def _classified(
    train: csr_matrix | NDArray[np.floating],
    labels: NDArray[np.generic],
    test: csr_matrix | NDArray[np.floating],
    truth: NDArray[np.generic],
) -> float:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0, max_iter=500).fit(train, labels)
    return float((model.predict(test) == truth).mean())
