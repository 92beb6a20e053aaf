"""The public names of `topicnet.images`."""

import inspect
import pkgutil
from importlib import import_module

import topicnet.images


def test_public_names_survive_the_import_of_every_module() -> None:
    """A module with the name of a public function would replace that function once imported."""
    for module in pkgutil.walk_packages(topicnet.images.__path__, "topicnet.images."):
        import_module(module.name)
    assert inspect.isfunction(topicnet.images.evaluate)
    assert inspect.isfunction(topicnet.images.load_images)
    assert inspect.isclass(topicnet.images.ImageVAE)
    assert not any(inspect.ismodule(getattr(topicnet.images, name)) for name in topicnet.images.__all__)
