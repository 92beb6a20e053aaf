"""scikit-learn's own checks of the estimator contract, for every model."""

import warnings

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from topicnet.models import ETM, MODELS, fitting

# The EM start takes most of a short fit and is the same code in every model: one model is checked with a shortened one.
# The checks are about the inputs and attributes of an estimator, which the common base class handles: by default two
# models are checked.
ESTIMATORS = [kind(n_topics=2, max_epochs=1, init="random", random_state=0) for kind in MODELS.values()]
BY_NAME = ESTIMATORS[:-1]


@parametrize_with_checks([ETM(n_topics=2, max_epochs=1, random_state=0), ESTIMATORS[-1]])
def test_check_estimator(estimator, check):
    checked(estimator, check)


@pytest.mark.slow
@parametrize_with_checks(BY_NAME)
def test_check_every_estimator(estimator, check):
    checked(estimator, check)


def checked(estimator, check):
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "EM_PASSES", 5)
        patch.setattr(fitting, "WARM_UP_STEPS", 10)
        # Some checks fit on fewer words than topics, which gives a warning.
        warnings.filterwarnings("ignore", message="n_topics=.* exceeds")
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        check(estimator)
    assert estimator is not None
