"""The public names of `topicnet.images`."""

import inspect
import pkgutil
from importlib import import_module

import topicnet.images


def test_names_stay_what_they_are_once_every_module_is_imported() -> None:
    """A module named like a function of the package would take its place as soon as it was imported."""
    for module in pkgutil.walk_packages(topicnet.images.__path__, "topicnet.images."):
        import_module(module.name)
    assert inspect.isfunction(topicnet.images.evaluate)
    assert inspect.isfunction(topicnet.images.load_images)
    assert inspect.isclass(topicnet.images.ImageVAE)
    assert not any(inspect.ismodule(getattr(topicnet.images, name)) for name in topicnet.images.__all__)
