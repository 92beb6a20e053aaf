"""scikit-learn's own checks of the estimator contract, for every model."""

import warnings

from sklearn.utils.estimator_checks import parametrize_with_checks

from topicnet.models import ETM, MODELS

# The EM start, which takes most of a short fit, is the same code in every model: one of them is checked with it.
ESTIMATORS = [kind(n_topics=2, max_epochs=1, init="random", random_state=0) for kind in MODELS.values()]


@parametrize_with_checks([ETM(n_topics=2, max_epochs=1, random_state=0), *ESTIMATORS])
def test_check_estimator(estimator, check):
    with warnings.catch_warnings():
        # Some checks fit on fewer words than topics, which a model warns of.
        warnings.filterwarnings("ignore", message="n_topics=.* exceeds")
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        check(estimator)
    assert estimator is not None
