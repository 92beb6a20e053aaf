"""Server process that imports topicnet once and forks a child for each command line it receives.

A new interpreter spends seconds on importing torch. A fork starts at once, and has its own arguments, folder, standard
streams, limits and exit status. The file is run as a script; requests and answers are JSON, one per line.
"""

import gc
import glob
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
import traceback
from typing import Any


def serve() -> None:
    """Answer requests until standard input ends."""
    import_everything()
    gc.collect()
    gc.freeze()  # otherwise garbage collection in a child would touch, and so copy, the parent's memory
    for line in sys.stdin:
        request = json.loads(line)
        arguments = [os.fsdecode(bytes.fromhex(argument)) for argument in request["arguments"]]
        load_segmenters_of(arguments)
        child = os.fork()
        if child == 0:
            run(request, arguments)
        ended, status = 0, 0
        while not ended and request["kill_when"] and not glob.glob(request["kill_when"], root_dir=request["cwd"]):
            time.sleep(0.001)
            ended, status = os.waitpid(child, os.WNOHANG)
        if not ended and request["kill_after"] is not None:
            time.sleep(request["kill_after"])
            os.kill(child, request["kill_with"])
        if not ended:
            status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def import_everything() -> None:
    """Import the modules of all commands, so that the children need not."""
    import PIL.Image

    import topicnet
    from topicnet.workflows.config import FitConfig
    from topicnet.workflows.engine import resolve_model

    for name in ("matplotlib.backends.backend_agg", "scipy.io", "sklearn.datasets", "torch._dynamo"):
        importlib.import_module(name)
    for module in pkgutil.walk_packages(topicnet.__path__, "topicnet."):
        if not module.name.endswith(("__main__", "_on_ray")):  # Ray need not be installed
            importlib.import_module(module.name)
    PIL.Image.preinit()
    resolve_model(FitConfig())  # torch imports further modules at the first network
    cache_constant_objects()


def cache_constant_objects() -> None:
    """Cache objects that are equal for all commands and take as long to make as a fork.

    These are the command-line parser, the recipes of the named corpora, and the list of libraries with thread pools.
    """
    import threadpoolctl
    import typer.main

    from topicnet.cli.app import app
    from topicnet.runtime import threads
    from topicnet.text.readers.named_corpora import recipes
    from topicnet.workflows import corpus

    command, found, libraries = typer.main.get_command(app), recipes(), threadpoolctl.ThreadpoolController()
    typer.main.get_command = lambda asked: command
    corpus.recipes = lambda: found
    threads.threadpool_limits = libraries.limit


def load_segmenters_of(arguments: list[str]) -> None:
    """Load the segmenter for a command's language once for all later commands; dictionaries take seconds to load."""
    from topicnet.text.tokens.segmenters import load_segmenter

    for lang, kind in (("zh", "jieba"), ("ja", "sudachi")):
        if lang in arguments or f"{lang}.txt" in arguments:
            load_segmenter(kind)


def run(request: dict[str, Any], arguments: list[str]) -> None:
    """Run `topicnet` with the arguments, streams and limits of the request, and exit."""
    for stream, path, flags in (
        (0, request["stdin"], os.O_RDONLY),
        (1, request["stdout"], os.O_WRONLY),
        (2, request["stderr"], os.O_WRONLY),
    ):
        os.dup2(os.open(path, flags), stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the buffered input belongs to the server
    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    if request["file_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"],) * 2)
    if not request["full_warm_up"]:  # they take most of a small fit, and few tests depend on them
        from topicnet.evaluate import bootstrap
        from topicnet.models import fitting

        bootstrap.RESAMPLES = 100  # takes most of a small evaluation
        fitting.EM_PASSES = 20
        fitting.WARM_UP_STEPS = fitting.RESEED_WARM_UP_STEPS = 10
    signal.alarm(120)
    sys.argv = ["topicnet", *arguments]
    status: Any = 1
    try:
        from topicnet.cli import main

        main()
    except SystemExit as ended:
        status = ended.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
