"""Models as ONNX files: writing, quantising, running, choosing per input."""
