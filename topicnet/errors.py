"""The errors a user can cause or meet, each with a one-line message that says what to do.

::

    TopicnetError                 the command line prints its message and exits with status 2
    |-- InputError (ValueError)   a value, an option or an array that cannot be used
    |   |-- CorpusError           text that cannot be read, or that holds nothing to learn from
    |   `-- ConfigError           a configuration file with an unknown or impossible entry
    |-- BundleError               a saved model that is damaged, foreign or too new
    |-- OutputError               a place that cannot be written to, or that already holds something
    |-- ParallelError             another process of a fit that several share has ended, or is silent
    `-- StoppedError              Ctrl-C ended a fit before its run was written; the exit status is 130

A message names what was given, what was expected and what to do, in that order.
"""


class TopicnetError(Exception):
    """Root of every error topicnet raises on purpose."""


class InputError(TopicnetError, ValueError):
    """A value, an option or an array that cannot be used."""


class CorpusError(InputError):
    """Text that cannot be read, or that holds nothing to learn from."""


class ConfigError(InputError):
    """A configuration file with an unknown or impossible entry."""


class BundleError(TopicnetError):
    """A saved model that is damaged, foreign or written by a newer version."""


class OutputError(TopicnetError):
    """A place that cannot be written to, or that already holds something."""


class ParallelError(TopicnetError):
    """Another process of a fit that several share has ended, or is silent."""


class StoppedError(TopicnetError):
    """Ctrl-C ended a fit before its run was written; what it had saved by then is kept."""
