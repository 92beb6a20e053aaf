"""Exceptions that topicnet raises on purpose; all of them derive from `TopicnetError`.

::

    TopicnetError                 the command line prints the message and exits with status 2
    |-- InputError (ValueError)   unusable value, option or array
    |   |-- CorpusError           unreadable text, or text without anything to learn from
    |   `-- ConfigError           configuration file with an unknown or impossible entry
    |-- BundleError               saved model that is damaged, not topicnet's, or too new
    |-- OutputError               destination that cannot be written to or is already in use
    |-- ParallelError             another process of a distributed fit ended or stopped responding
    `-- StoppedError              Ctrl-C ended a fit before its run was written (exit status 130)

Each message is one line that names the given value, the expected one and the remedy, in that order.
"""


class TopicnetError(Exception):
    """Base class of every error that topicnet raises on purpose.

    Catch it to handle any of them. The command line prints the message on standard error and exits with status 2.
    Errors of any other class are bugs in topicnet or in a library that it calls.

    Attributes
    ----------
    args : tuple of str
        The message: one line that names the given value, the expected one and the remedy.

    Examples
    --------
    >>> issubclass(InputError, TopicnetError), issubclass(InputError, ValueError)
    (True, True)
    """


class InputError(TopicnetError, ValueError):
    """Unusable value, option or array.

    Raised by functions and estimators before any work starts, for example for `n_topics=0`, a count matrix with
    negative entries, or an unknown device. It is also a `ValueError`, as scikit-learn's tools expect of estimators.
    The caller corrects the argument that the message names and calls again.

    Attributes
    ----------
    args : tuple of str
        The message.

    Examples
    --------
    >>> from topicnet.runtime.device_names import check_device_name
    >>> check_device_name("gpu")
    Traceback (most recent call last):
    topicnet.errors.InputError: device='gpu' given, expected auto, cpu, cuda or cuda:N
    """


class CorpusError(InputError):
    """Unreadable text, or text without anything to learn from.

    Raised while documents are read and counted: for a missing file, a broken encoding, a column that does not exist,
    or a corpus whose vocabulary is empty after pruning. The caller corrects the source or the text options.

    Attributes
    ----------
    args : tuple of str
        The message, which names the file and, where there is one, the line.

    Examples
    --------
    >>> issubclass(CorpusError, InputError)
    True
    """


class ConfigError(InputError):
    """Configuration file with an unknown or impossible entry.

    Raised when a YAML configuration is read, before the corpus is opened. The caller edits the entry that the
    message names.

    Attributes
    ----------
    args : tuple of str
        The message, which names the file and the entry.

    Examples
    --------
    >>> issubclass(ConfigError, InputError)
    True
    """


class BundleError(TopicnetError):
    """Saved model that is damaged, was not written by topicnet, or was written by a newer version.

    Raised when a run, a bundle or saved counts are loaded and a file is missing, has another checksum than recorded,
    or has an unknown format. The caller copies the folder again, updates topicnet, or fits the model again. A damaged
    file is never loaded in part.

    Attributes
    ----------
    args : tuple of str
        The message, which names the folder and the file.

    Examples
    --------
    >>> issubclass(BundleError, ValueError)
    False
    """


class OutputError(TopicnetError):
    """Destination that cannot be written to, or that already holds something.

    Raised before any work where possible, and otherwise when the disk refuses a write. An existing result is left
    unchanged. The caller names another destination, allows overwriting, or frees disk space.

    Attributes
    ----------
    args : tuple of str
        The message, which names the destination.

    Examples
    --------
    >>> issubclass(OutputError, ValueError)
    False
    """


class ParallelError(TopicnetError):
    """Another process of a distributed fit ended or stopped responding.

    Raised on each remaining process when a collective operation fails or exceeds its time limit
    (`TOPICNET_TIMEOUT_SECONDS`). The process that failed reports the cause. The caller starts all processes again,
    with `resume` if there are checkpoints.

    Attributes
    ----------
    args : tuple of str
        The message, which names this process and the reason that torch gave.

    Examples
    --------
    >>> issubclass(ParallelError, TopicnetError)
    True
    """


class StoppedError(TopicnetError):
    """Ctrl-C ended a fit before its run was written; saved checkpoints are kept.

    Raised instead of `KeyboardInterrupt` when the fit had saved checkpoints. The caller runs the same fit again with
    `resume` to continue from them. The command line exits with status 130.

    Attributes
    ----------
    args : tuple of str
        The message, which names the run and how to continue.

    Examples
    --------
    >>> issubclass(StoppedError, KeyboardInterrupt)
    False
    """
