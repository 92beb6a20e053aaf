"""Compare topicnet with popular topic-model libraries on the same counts, K and cores, each fit in a subprocess.

Usage: python benchmarks/peers.py [--corpora 20ng,20ng-text] [--systems etm,tomotopy-lda,...] [--seeds 3]
       [--budget SECONDS] [--out FILE] [--run NAME] [--publish NAME]
       python benchmarks/peers.py --table FILE [--against SYSTEM]

Needs `pip install 'topicnet-neural[bench]'`; the row of a system whose library is missing gives the reason. Each fit
is one line of JSON in --out (benchmarks/results/peers.jsonl). Several invocations with the same --run form one run, in
which no fit is repeated. Seconds are comparable only within a run on one machine, so each run has its own tables and
ratios. Fits proceed seed by seed, so that a slowdown of the machine affects all systems.

20ng is `20ng_etm_bow` with its own test halves, K = 50; it has counts only, for systems that need no text. 20ng-text is
the stripped text of the training posts, counted as by the command line, K = 20, for all systems.

Columns: median wall-clock seconds of the fit, excluding imports, reading the corpus and loading a sentence model, and
their ratio to topicnet's fastest model (and to --against); CPU seconds; peak memory of the process during the fit (RSS,
including the additional memory of its largest child), and in brackets the part added by the fit, because every process
has imported torch and scikit-learn for scoring; NPMI of the top 10 words on the training documents; topic diversity of
the top 25; perplexity of second halves of test documents given the first under the system's own decoder ("refined":
after 20 of topicnet's EM steps on theta, if p(w|d) is theta @ beta); NMI of the top topic with the labels. Scores are
mean ± standard deviation over seeds.

Settings. topicnet: defaults (steps on one thread, EM and large products on all cores). The others may use all cores,
and torch its default number of threads. tomotopy: 1,000 iterations, 2 workers. gensim: LdaMulticore with chunks of
2,000, 20 passes and 400 iterations (from its tutorial), and one worker fewer than cores. topica: LDA
and CTM with their defaults, and a thread for each core. scikit-learn: online, 10
passes, batches of 1,000 (its default, 128, is far worse here), on one core (its default). TopMost: the defaults of
BasicTrainer (200 epochs, Adam at 0.002, batches of 200) and of its models. GloVe, which it uses for ETM and ECRTM, is
not available offline; skip-gram vectors of the training documents replace it, and their seconds are not counted. ETM
keeps them fixed by default; another row trains them. contextualized-topic-models: CombinedTM with defaults (100
epochs); its recommended limit of 2,000 words is ignored so that all systems share one vocabulary. BERTopic: defaults,
with nr_topics set to give K topics plus outliers; words are ranked by c-TF-IDF, and it has no p(w|d), hence no
perplexity. Both embed with all-MiniLM-L6-v2, which counts as part of the fit. For CombinedTM, half of a document is its
words in reading order. OCTIS 1.14.0 does not build from its archive.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import models
import numpy as np
import torch
from peer_fits import CORES, PEERS, Fit
from peer_table import publish_tables, tables
from publish import add_option
from sklearn.metrics import normalized_mutual_info_score
from tasks import CORPORA, Fitted, Task

from topicnet.core.em import encoder_pseudo_counts, refine_theta
from topicnet.core.sparse import SparseBatches
from topicnet.evaluate.coherence import npmi, top_words
from topicnet.evaluate.diversity import topic_diversity
from topicnet.evaluate.perplexity import document_completion, unigram_perplexity
from topicnet.models import MODELS
from topicnet.runtime.threads import chosen_threads, thread_count

Record = dict[str, Any]

HERE = Path(__file__).resolve().parent
TASKS, TEXT_TASKS = ("20ng", "20ng-text"), ("20ng-text",)
# Systems that benchmarks/models.py also measures.
SHARED = ("em", *MODELS, "sklearn-lda", "tomotopy-lda")
SYSTEMS = (*SHARED, *PEERS)
NEED_TEXT = {name for name, peer in PEERS.items() if peer.needs_text}
TITLES = {name: models.SYSTEMS[name][0] for name in SHARED} | {name: peer.title for name, peer in PEERS.items()}
TITLES["em"] = "topicnet, EM alone"
LIBRARIES = (
    "topicnet", "torch", "numpy", "scipy", "scikit-learn", "tomotopy", "topica", "gensim", "topmost", "bertopic",
    "contextualized-topic-models", "sentence-transformers", "umap-learn", "hdbscan",
)  # fmt: skip


def fit_of(system: str) -> Fit:
    if system in PEERS:
        return PEERS[system].fit
    return lambda task, seed, epochs: models.SYSTEMS[system][1](task, seed)


def refined(task: Task, fitted: Fitted) -> float:
    """Compute the perplexity after 20 EM steps on a library's theta, as in `TopicModel.transform(refine=20)`."""
    if fitted.half_theta is None:
        return fitted.refined
    beta = torch.as_tensor(fitted.beta, dtype=torch.float32)
    with torch.inference_mode(), chosen_threads():
        parts = []
        for batch in SparseBatches(task.first.astype(np.float32), 1000, models.CPU):
            start = torch.as_tensor(fitted.half_theta[batch.index.numpy()], dtype=torch.float32)
            parts.append(refine_theta(start, beta, batch, 20, encoder_pseudo_counts(start, batch)))
    theta = torch.cat(parts).double().numpy()
    return document_completion(theta, fitted.beta, task.first, task.second).perplexity


def one(system: str, corpus: str, seed: int, epochs: int | None, data: Path) -> Record:
    """Fit and score a system in this process."""
    task = CORPORA[corpus](data)
    # Redirect the output of libraries to stderr, because stdout is for the result.
    with contextlib.redirect_stdout(sys.stderr):
        fitted = fit_of(system)(task, seed, epochs)
    words = top_words(fitted.beta, 25)
    agreement = float("nan")
    if task.labels is not None:
        rows = np.diff(task.train.indptr) > 0
        agreement = normalized_mutual_info_score(task.labels[rows], fitted.theta.argmax(1)[rows])
    numbers = {
        **asdict(fitted.cost),
        "npmi": float(npmi(words[:, :10], task.train).mean()),
        "td": topic_diversity(words),
        "perplexity": fitted.perplexity,
        "refined": refined(task, fitted),
        "nmi": float(agreement),
    }
    shape = {"n_docs": task.train.shape[0], "n_words": task.train.shape[1], "k": task.n_topics, "name": task.name}
    return {
        "task": shape | {"unigram": unigram_perplexity(task.train, task.second)},
        "n_topics": len(fitted.beta),
        **{name: None if np.isnan(value) else value for name, value in numbers.items()},
        "note": fitted.note,
    }


def in_a_process(command: list[str], budget: float | None) -> Record:
    """Run a command; returns the JSON that it prints, or the reason for its failure."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"},
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=budget)
        except subprocess.TimeoutExpired:
            return {"status": "over budget", "reason": f"not done after {budget:.0f} s"}
        finally:
            # End its workers too, also on Ctrl-C, so that they cannot disturb later measurements.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode == 0:
            return {"status": "ok", **json.loads(printed.splitlines()[-1])}
        errors.seek(0)
        messages = errors.read().strip().splitlines() or [f"exit status {process.returncode}"]
        return {"status": "failed", "reason": messages[-1][:200]}


def machine() -> Record:
    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": names[0].split(":")[1].strip() if names else platform.machine(),
        "cores": CORES,
        "memory_gb": round(int(memory[0].split()[1]) / 2**20) if memory else None,
        "system": platform.system(),
        "torch_threads": torch.get_num_threads(),
        "topicnet_threads": thread_count(),
    }


def versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for library in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[library] = importlib.metadata.version(library)
    return found


def read(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _names(given: str, known: tuple[str, ...], what: str) -> list[str]:
    names = given.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no {what} {unknown[0]!r}: expected some of {', '.join(known)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = HERE.parents[1] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))
    parser.add_argument("--corpora", default=",".join(TASKS))
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--seeds", type=int, default=3, help="Number of fits of each system, with seeds 0, 1, ...")
    parser.add_argument("--budget", type=float, help="Time limit of a process in seconds.")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "peers.jsonl")
    parser.add_argument("--run", help="Name of the run; an existing run is continued.  [default: current time]")
    parser.add_argument(
        "--epochs", type=int, help="Shorten fits of neural libraries and gensim for trials (marked in tables)."
    )
    parser.add_argument("--table", type=Path, help="Only print the tables of a results file.")
    parser.add_argument("--against", default="", help="Also print ratios of seconds to this system.")
    parser.add_argument("--one", nargs=3, metavar=("SYSTEM", "CORPUS", "SEED"), help="Run one fit here and print JSON.")
    add_option(parser)
    given = parser.parse_args()
    if given.publish and given.table:
        raise SystemExit(
            "--publish given with --table: the origin of those fits is not known; run them, with --run NAME"
        )
    if given.against:
        _names(given.against, SYSTEMS, "system")
    if given.table:
        if not given.table.is_file():
            raise SystemExit(f"no file {given.table}: give a file that this benchmark wrote with --out")
        print(tables(read(given.table), SYSTEMS, TITLES, tuple(MODELS), given.against))
        return
    if not given.data.is_dir():
        raise SystemExit(f"no folder {given.data}: set that of the real corpora with --data or TOPICNET_DATA")
    if given.one:
        system, corpus, seed = given.one
        print(json.dumps(one(system, corpus, int(seed), given.epochs, given.data)))
        return
    run = given.run or datetime.datetime.now().isoformat(" ", "seconds")
    here = {"run": run, "machine": machine(), "versions": versions()}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    before = read(given.out) if given.out.exists() else []
    done = {(old["system"], old["corpus"], old["seed"], old["epochs"]) for old in before if old["run"] == run}
    corpora, systems = _names(given.corpora, TASKS, "corpus"), _names(given.systems, SYSTEMS, "system")
    fits = [(corpus, seed, system) for corpus in corpora for seed in range(given.seeds) for system in systems]
    for corpus, seed, system in fits:
        if corpus not in TEXT_TASKS and system in NEED_TEXT:
            continue
        epochs = given.epochs if system in PEERS and PEERS[system].has_epochs else None
        if (system, corpus, seed, epochs) in done:
            continue
        command = [
            sys.executable,
            str(HERE / "peers.py"),
            "--data",
            str(given.data),
            "--one",
            system,
            corpus,
            str(seed),
        ]
        load = os.getloadavg()[0]
        result = in_a_process(command if epochs is None else [*command, "--epochs", str(epochs)], given.budget)
        record = {"system": system, "corpus": corpus, "seed": seed, "epochs": epochs, **result, "load": load, **here}
        with given.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        outcome = (
            f"{result['seconds']:.1f} s" if result["status"] == "ok" else f"{result['status']}: {result['reason']}"
        )
        print(f"{corpus}, seed {seed}, {system}: {outcome}", file=sys.stderr, flush=True)
    records = [old for old in read(given.out) if old["run"] == run]
    print(tables(records, SYSTEMS, TITLES, tuple(MODELS), given.against))
    if given.publish:
        publish_tables(given.publish, records, SYSTEMS, TITLES, tuple(MODELS), given.against)


if __name__ == "__main__":
    main()
