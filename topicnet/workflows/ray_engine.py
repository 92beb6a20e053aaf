"""Fits on a Ray cluster: Ray Data cuts the texts, Ray Train's workers learn; this process reads, counts and writes.

The workers find each other by torch.distributed and share one fit, as the processes of torchrun do. They read the
counts from, and write checkpoints to, the folder of the unfinished run: every machine has to see it at the same path.
When one is lost Ray Train starts them all again, and they go on from the last checkpoint, to the same bits.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from topicnet import errors
from topicnet.errors import InputError, OutputError, ParallelError, TopicnetError
from topicnet.models import TopicModel
from topicnet.runtime.distributed import distributed
from topicnet.runtime.extras import message_of
from topicnet.runtime.interrupt import deferred_interrupt, pressed_elsewhere
from topicnet.runtime.reporter import Reporter
from topicnet.storage import atomic
from topicnet.text.corpus import Corpus
from topicnet.training.progress import Progress
from topicnet.workflows.bundle import Bundle, load_bundle, save_bundle
from topicnet.workflows.engine import Engine, ModelPlan, learn_tuned

MOST_RESTARTS = 10
ASKED_EVERY = 0.5  # seconds
PLACED_WITHIN = 60.0  # seconds: that workers have not begun by then is worth saying
LOCK_SECONDS = 120.0  # that the lock of a machine that was lost may outlive it on a network disk
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextlib.contextmanager
def ray_engine(device: str, workers: int | None) -> Iterator[Engine]:
    """Connect to the cluster that RAY_ADDRESS names, or start one of this machine alone, which ends with the block.

    Raises
    ------
    InputError
        Ray is not installed, there is no such cluster, or it has fewer CPUs or GPUs than workers are asked for.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
        import ray.train.torch
    except ImportError as error:
        raise InputError(message_of("--engine ray", "ray")) from error
    from topicnet.text.tokenize_on_ray import tokenize_on_ray

    theirs = ray.is_initialized()
    if not theirs:
        _connect()
    for library in ("ray", "ray.data", "ray.train"):  # what is wrong comes to us as errors
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        n_workers, with_gpu = _workers(device, workers)
        yield Engine(tokenize_on_ray, _Learning(n_workers, with_gpu), n_workers)
    finally:
        if not theirs:
            ray.shutdown()


def _connect() -> None:
    import ray

    passed = {name: value for name, value in os.environ.items() if name.startswith("TOPICNET_")}
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "runtime_env": {"env_vars": {**passed, "POLARS_MAX_THREADS": "1"}},
    }
    address = os.environ.get("RAY_ADDRESS")
    if not address:  # not one that happens to run here
        options |= {"address": "local", "include_dashboard": False}
    ours = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        no_cluster = (
            f"no Ray cluster at RAY_ADDRESS={address!r} ({reason}): start one with `ray start --head`, or unset it"
        )
        no_start = f"Ray does not start on this machine ({reason}): fit without --engine ray"
        raise InputError(no_cluster if address else no_start) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ours)  # Ray has put its own in the place


def _workers(device: str, workers: int | None) -> tuple[int, bool]:
    """How many workers learn, and whether each has a GPU."""
    import ray

    have = ray.cluster_resources()
    with_gpu = device != "cpu" and have.get("GPU", 0) >= 1
    most = int(have.get("GPU" if with_gpu else "CPU", 0))
    n_workers = most if workers is None else workers
    if not 1 <= n_workers <= most:
        kind = "GPU" if with_gpu else "CPU"
        raise InputError(
            f"--workers {n_workers} given, but the cluster has {most} {kind}s, one for each worker: ask for fewer, or"
            " let more machines join"
        )
    return n_workers, with_gpu


@dataclass(frozen=True)
class _Learning:
    """Learns as `learn` does, in the workers of Ray Train."""

    n_workers: int
    with_gpu: bool

    def __call__(
        self, plan: ModelPlan, model: TopicModel, corpus: Corpus, checkpoints: Path | None, reporter: Reporter
    ) -> bool:
        import ray

        assert checkpoints is not None
        place = checkpoints.absolute()
        place.mkdir(parents=True, exist_ok=True)
        for name in ("fitted", "ray", "counts"):  # of a process that was killed
            atomic.remove_staged(place / name)
        desk = ray.remote(num_cpus=0, scheduling_strategy=_this_machine())(_Desk).remote()
        told = {
            "plan": asdict(plan), "counts": str(_on_disk(corpus, place)), "checkpoints": str(place),
            "fitted": str(place / "fitted"), "folder": str(Path.cwd()), "desk": desk,
        }  # fmt: skip
        ended: list[BaseException | None] = []

        def run() -> None:
            try:
                _train_on_ray(told, self.n_workers, self.with_gpu, place / "ray")
                ended.append(None)
            except BaseException as error:  # handed over to who waits
                ended.append(error)

        with deferred_interrupt() as pressed:
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            try:
                answer = _listen(thread, desk, pressed, reporter)
            except ray.exceptions.RayError as error:
                raise ParallelError(
                    f"the cluster was lost ({_first_line(error)}): start it again, and go on with --resume"
                ) from error
        failure = ended[0] if ended else None
        if "error" in answer:
            raise getattr(errors, answer["kind"], TopicnetError)(answer["error"])
        if failure is not None or "device" not in answer:
            raise ParallelError(
                f"the workers were lost {MOST_RESTARTS + 1} times ({_first_line(failure)}): see the logs of Ray, and go"
                " on with --resume"
            ) from failure
        # The estimator of this process becomes the one that was fitted elsewhere.
        model.__dict__.update(vars(load_bundle(place / "fitted").model) | {"device_": answer["device"]})
        for name in ("fitted", "ray", "counts"):
            atomic.remove_staged(place / name)
        return bool(answer["interrupted"])


class _Desk:
    """An actor: what the workers tell whoever asked for the fit, and whether he wants them to stop."""

    def __init__(self) -> None:
        self.news: list[Any] = []
        self.stop = False

    def tell(self, news: Any) -> None:
        self.news.append(news)

    def exchange(self, stop: bool) -> list[Any]:
        """All the news since the last time."""
        self.stop = stop
        news, self.news = self.news, []
        return news

    def stopped(self) -> bool:
        return self.stop


def _listen(thread: threading.Thread, desk: Any, pressed: Callable[[], bool], reporter: Reporter) -> dict[str, Any]:
    """Pass on what the workers tell until they are done, or one of them knows that they cannot be; their last word."""
    import ray

    answer: dict[str, Any] = {}
    starts, began, warned = 0, time.monotonic(), False
    while True:
        thread.join(ASKED_EVERY)
        done = not thread.is_alive()
        for news in ray.get(desk.exchange.remote(pressed())):
            if isinstance(news, dict):
                answer = news
            elif isinstance(news, Progress):
                if reporter.listener is not None:
                    reporter.listener(news)
            elif news is None:
                starts += 1
                if starts > 1:
                    reporter.notice("a worker was lost: all go on from the last checkpoint")
            else:
                reporter.notice(news)
        if done or "error" in answer:
            return answer
        if starts == 0 and pressed():
            raise KeyboardInterrupt
        if starts == 0 and not warned and time.monotonic() > began + PLACED_WITHIN:
            warned = True
            reporter.notice(
                "the workers have not begun yet: the CPUs or GPUs of the cluster may be busy with other work"
            )


def _train_on_ray(told: dict[str, Any], n_workers: int, with_gpu: bool, place: Path) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    TorchTrainer(
        _work,
        train_loop_config=told,
        scaling_config=ScalingConfig(num_workers=n_workers, use_gpu=with_gpu),
        run_config=RunConfig(
            storage_path=str(place),
            failure_config=FailureConfig(max_failures=MOST_RESTARTS, controller_failure_limit=MOST_RESTARTS),
        ),
    ).fit()


def _work(told: dict[str, Any]) -> None:
    """What each worker does, in a process of its own."""
    import ray

    with contextlib.suppress(OSError):  # for word vectors that were named from there
        os.chdir(told["folder"])
    desk, pressed = told["desk"], threading.Event()
    try:
        with distributed() as world, pressed_elsewhere(pressed):
            _learn_here(told, world is None or world.is_rank_zero, pressed)
    except ParallelError:  # another worker is lost: Ray Train starts all of us again
        raise
    except TopicnetError as error:  # of which another start would make no better
        ray.get(desk.tell.remote({"error": str(error), "kind": type(error).__name__}))


def _learn_here(told: dict[str, Any], is_rank_zero: bool, pressed: threading.Event) -> None:
    """Learn with the other workers; the first of them keeps the checkpoints, and what was learned."""
    import ray

    plan, desk, place = ModelPlan(**told["plan"]), told["desk"], Path(told["checkpoints"])
    reporter = Reporter()
    if is_rank_zero:
        ray.get(desk.tell.remote(None))
        threading.Thread(target=_watch, args=(desk, pressed), daemon=True).start()
        reporter = Reporter(notice=desk.tell.remote, listener=desk.tell.remote)
        _await_lock(place)
    corpus = Corpus.load(told["counts"])
    model = plan.build()
    interrupted = learn_tuned(plan, model, corpus, place, reporter)
    if is_rank_zero:
        atomic.remove_staged(Path(told["fitted"]))  # of an earlier start
        with atomic.atomic_folder(Path(told["fitted"]), overwrite=False) as folder:
            save_bundle(Bundle(plan.name, model, corpus.vocabulary, corpus.source["options"]), folder)
        ray.get(desk.tell.remote({"interrupted": interrupted, "device": model.device_}))


def _await_lock(place: Path) -> None:
    """Wait until the first worker of an earlier start holds the checkpoints no more."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with atomic.folder_lock(place):
                return
        except OutputError:
            if time.monotonic() > until:
                raise
            time.sleep(ASKED_EVERY)


def _this_machine() -> Any:
    """Where an actor is to be that must not be lost with another machine."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _watch(desk: Any, pressed: threading.Event) -> None:
    """Note when whoever asked for the fit wants it to stop."""
    import ray

    with contextlib.suppress(ray.exceptions.RayError):  # he is gone, and so will we
        while not ray.get(desk.stopped.remote()):
            time.sleep(ASKED_EVERY)
        pressed.set()


def _on_disk(corpus: Corpus, place: Path) -> Path:
    """A folder with the whole of a corpus, for the workers to map."""
    if corpus.folder is None:
        corpus.save(place / "counts")
        return place / "counts"
    if not (corpus.folder / "counts.json").is_file():
        corpus.save(corpus.folder)
    return corpus.folder.absolute()


def _first_line(error: BaseException | None) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
