"""Do the topics know the labels: agreement of the top topic with them, and a classifier on theta."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.errors import InputError

FOLDS = 5


@dataclass(frozen=True)
class Agreement:
    """How well clusters and labels agree.

    Attributes
    ----------
    purity : float
        Share of documents whose label is the most frequent one of their cluster; grows with the number of clusters.
    nmi : float
        Mutual information over the mean of both entropies, in [0, 1].
    ari : float
        Adjusted Rand index, at most 1; 0 is what chance gives.
    """

    purity: float
    nmi: float
    ari: float


@dataclass(frozen=True)
class Accuracy:
    """Share of documents whose label a classifier told, by theta and by TF-IDF, and by the commonest label alone."""

    theta: float
    tfidf: float
    commonest: float


def agreement(clusters: NDArray[np.integer], labels: NDArray[np.generic]) -> Agreement:
    """Agreement of the top topic of each document with its label.

    Parameters
    ----------
    clusters : (D,) integer array
    labels : (D,) array

    Returns
    -------
    Agreement

    Raises
    ------
    InputError
        There is no document, or another number of labels.
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
    """Accuracy of logistic regression on theta, beside the same on TF-IDF of the counts.

    Parameters
    ----------
    train, test : tuples of theta (D, K), counts (D, V) and labels (D,)

    Returns
    -------
    Accuracy

    Raises
    ------
    InputError
        The documents to learn from have fewer than two labels, or there is none to test.
    """
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import MaxAbsScaler

    if len(np.unique(train[2])) < 2 or len(test[2]) == 0:
        raise InputError("fewer than two labels to learn, or no labelled document to test: a classifier needs both")
    # Theta's columns differ in size by orders of magnitude; as they are, the penalty would silence the small ones.
    scale = MaxAbsScaler().fit(train[0])
    known, asked = (_stored(counts) for counts in (train[1], test[1]))
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
    """The same over five folds of one corpus; None with fewer than two labels, or fewer documents of one than folds.

    Parameters
    ----------
    theta : (D, K) array
    counts : (D, V) matrix
    labels : (D,) array

    Returns
    -------
    Accuracy, optional
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


def _stored(counts: csr_matrix) -> csr_matrix:
    """The counts without stored zeros, of which no logarithm can be taken."""
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
