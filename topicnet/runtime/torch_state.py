"""Settings of torch that a caller may have changed: a new process's for a block, and the caller's after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from topicnet.runtime.shared_setting import SharedSetting

# Of np.seterr, in a new process. A caller that has errors raised would end fits in places where infinities are meant.
USUAL_ERRORS: dict[str, Any] = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


@contextmanager
def usual_torch() -> Iterator[None]:
    """Run a block with torch as a new process has it, whatever the caller has set; also after an error.

    Default data type and device, automatic mixed precision, deterministic algorithms, precision of products, detection
    of anomalies; and numpy's treatment of floating-point errors. The gradient and inference modes are left as they are:
    what needs gradients asks for them with `usual_gradients`. What torch keeps for the whole process is seen by other
    threads, too, while a block is open.
    """
    with ExitStack() as stack:
        stack.enter_context(_flags.held(None))
        if torch.get_default_device().type != "cpu":  # else spared: it slows every call of torch
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(np.errstate(**USUAL_ERRORS))
        yield


@contextmanager
def usual_gradients() -> Iterator[None]:
    """Run a block that learns, or makes tensors to keep, outside of the caller's inference and no-gradient modes."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def _usual_flags(_: None) -> Iterator[None]:
    """Set what torch keeps for the whole process, and nothing that is set already."""
    with ExitStack() as stack:

        def change(set_: Callable[..., Any], before: Any, usual: Any, **further: Any) -> None:
            if before != usual:
                set_(usual)
                stack.callback(set_, before, **further)

        change(torch.set_default_dtype, torch.get_default_dtype(), torch.float32)
        change(
            torch.use_deterministic_algorithms,
            torch.are_deterministic_algorithms_enabled(),
            False,
            warn_only=torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        change(torch.autograd.set_detect_anomaly, torch.is_anomaly_enabled(), False)
        try:
            change(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision(), "highest")
        except RuntimeError:  # the caller has used the newer names, after which torch refuses the older one
            parts: tuple[Any, ...] = (torch.backends.mkldnn.matmul, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
            for part in parts:

                def set_(value: str, part: Any = part) -> None:
                    part.fp32_precision = value

                change(set_, part.fp32_precision, "ieee")
        yield


_flags = SharedSetting(_usual_flags)
