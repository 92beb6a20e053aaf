"""Version of topicnet, in a module without imports that any other module can import."""

__version__ = "0.2.0"
