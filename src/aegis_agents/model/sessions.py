"""ONNX Runtime sessions, made to be good guests in somebody else's process."""

from __future__ import annotations

from typing import Any


def open_session(model: bytes, threads: int) -> Any:
    """A CPU session over a model in memory; `threads` 0 leaves the number to the runtime.

    Spinning is off: with it, torch in the same process runs twenty times slower, and an
    idle analyst's laptop stays hot.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
