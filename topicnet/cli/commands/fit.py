"""Command `fit`, with imports inside the function so that help is quick."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from topicnet.cli.app import Command, app
from topicnet.cli.options.shared import named_values, one_or_several, takes
from topicnet.cli.options.text import COLUMNS, CORPUS_HELP, COUNTING, MODEL, OUTPUT, PASSAGES, READING, TRAINING

EXAMPLES = """
topicnet fit lee -k 10
topicnet fit answers.csv --text-column answer --model w-lda -k 20 --out runs/answers
topicnet fit 'posts/*.jsonl' --lang de --lemmatize --phrases --seeds 5
topicnet fit speeches/ --passages 200 --param hidden_dim=200
"""
OF_THE_MODEL = ("init", "max_epochs", "batch_size", "learning_rate", "decoder", "embeddings")


@app.command(cls=Command, epilog=EXAMPLES)
@takes(READING, COLUMNS, COUNTING, PASSAGES, MODEL, TRAINING, OUTPUT)
def fit(
    corpus: Annotated[list[str] | None, typer.Argument(metavar="CORPUS", help=CORPUS_HELP)] = None,
    *,
    given: dict[str, Any],
) -> str | None:
    """Fit a topic model, print its topics and write a run folder."""
    began = time.perf_counter()
    from topicnet.cli.printing.progress import show_progress
    from topicnet.storage.run_folder import Destination
    from topicnet.workflows.config import read_config
    from topicnet.workflows.option_checks import check_options

    destination = Destination(given.pop("out"), given.pop("overwrite"), given.pop("resume"))
    shown = {name: given.pop(name) for name in ("top", "examples", "strict", "quiet")}
    config_file = given.pop("config")
    config = read_config(config_file, _merged_parameters(given) | {"corpus": one_or_several(corpus)})
    check_options(config)  # input errors are reported before imports that take seconds
    from topicnet.workflows.preflight import check_fit

    check_fit(config, destination, config_file)
    from topicnet.cli.printing.topics import ending_of, print_fit
    from topicnet.workflows.fit import fit_to_folder, resolve_job
    from topicnet.workflows.follower import engine_of, follow_fit

    with engine_of(config) as engine:
        job = resolve_job(config)
        if engine is None:  # rank 0 prints and writes
            return ending_of(*follow_fit(job), strict=shown["strict"])
        with show_progress(shown["quiet"], began) as reporter:
            run, target = fit_to_folder(job, destination, reporter, engine)
        print_fit(run, target, **shown)
        return ending_of(run.interrupted, run.health.fit_for_use, strict=shown["strict"])


def _merged_parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Merge the model parameters that have their own option into those of --param."""
    named = named_values(given.pop("parameters") or [], "hidden_dim=200")
    options = {name: value for name in OF_THE_MODEL if (value := given.pop(name)) is not None}
    if twice := sorted(options.keys() & named.keys()):
        raise typer.BadParameter(f"{twice[0]} was given twice, by its own option and by --param: give it once")
    return given | {"parameters": named | options}
