"""What a learner can be put to is known before any work."""

import pytest

from ebm.learn import LEARNERS, has_chain, inpaints, learner_class, refusal
from tasks.apply_settings import APPLICATIONS


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_can_do_what_its_class_has(name: str) -> None:
    for application in APPLICATIONS:
        kind = learner_class(name)
        of_one = {"classifier": hasattr(kind, "classifiers"), "rounds": hasattr(kind, "rounds")}
        of_one |= {
            "conditional_chains": hasattr(kind, "recover"),
            "latent": hasattr(kind, "posterior"),
            "interpolate": has_chain(name) or hasattr(kind, "run"),
        }
        able = of_one.get(application, has_chain(name))
        able = inpaints(name) if application == "inpaint" else able
        why = refusal(name, application)
        assert (why is None) == able
        assert able or application in str(why)


def test_abilities_of_the_learners_are_known() -> None:
    assert inpaints("multigrid") and not has_chain("multigrid")
    assert has_chain("maximum_likelihood") and not inpaints("maximum_likelihood")
    assert has_chain("joint_classifier")
    assert not has_chain("introspective")  # its chains run from round to round
    assert not has_chain("noise_contrastive")  # its `noise` is a distribution
