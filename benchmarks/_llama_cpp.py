"""llama.cpp as a peer of the decode benchmark, where `llama_cpp` and `gguf` can be imported.

    pip install llama-cpp-python gguf

A dense model is written as GGUF in fp32, quantised by llama.cpp itself to Q4_0 (its recipe: an
output matrix that is tied to the embedding becomes Q6_K), and run by its C functions, one call a
token, the likeliest token chosen by its own sampler.
"""

import ctypes
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MISSING = "llama.cpp is left out: `pip install llama-cpp-python gguf` brings it"

PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
"""Names in a Llama of transformers, and in GGUF."""


def is_there() -> bool:
    """Say whether it can be imported; if not, tell how to get it."""
    found = all(importlib.util.find_spec(name) for name in ("llama_cpp", "gguf"))
    if not found:
        print(MISSING, file=sys.stderr)
    return found


def version() -> str:
    """Give the version of its Python package."""
    import llama_cpp

    return f"llama-cpp-python {llama_cpp.__version__}"


def write_gguf(model: Any, path: Path) -> Path:
    """Write a Llama of transformers in fp32, with a vocabulary of no meaning."""
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"t{number}" for number in range(config.vocab_size)])
    writer.add_token_scores([0.0] * config.vocab_size)
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocab_size)
    for name, array in tensors(model):
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(model: Any) -> list[tuple[str, np.ndarray]]:
    """Give its tensors under GGUF's names; a tied head is left out."""
    config, found = model.config, []
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, weight in model.state_dict().items():
        array = weight.float().numpy()
        if name == "model.embed_tokens.weight":
            found.append(("token_embd.weight", array))
        elif name == "model.norm.weight":
            found.append(("output_norm.weight", array))
        elif name == "lm_head.weight":
            if not config.tie_word_embeddings:
                found.append(("output.weight", array))
        else:
            number, part = name.removeprefix("model.layers.").split(".", 1)
            part = PARTS[part.removesuffix(".weight")]
            if n := heads.get(part):
                # llama.cpp turns neighbours by a position, transformers turns halves.
                array = array.reshape(n, 2, -1, array.shape[1]).swapaxes(1, 2)
                array = np.ascontiguousarray(array.reshape(-1, array.shape[-1]))
            found.append((f"blk.{number}.{part}.weight", array))
    return found


def quantised(path: Path) -> Path:
    """Let llama.cpp quantise a file to Q4_0."""
    import llama_cpp

    _be_quiet()
    to = path.with_name("q4_0.gguf")
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.nthread, settings.ftype = 1, llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
    status = llama_cpp.llama_model_quantize(
        str(path).encode(), str(to).encode(), ctypes.byref(settings)
    )
    assert status == 0, f"llama.cpp did not quantise: {status}"
    return to


_held: list[Any] = []
"""What C calls must not be freed."""


def _be_quiet() -> None:
    """Let llama.cpp say nothing."""
    import llama_cpp

    if not _held:
        _held.append(llama_cpp.llama_log_callback(lambda _level, _text, _data: None))
        llama_cpp.llama_log_set(_held[0], ctypes.c_void_p(0))


def writer_of(path: Path, n_tokens: int) -> Callable[[list[int]], list[int]]:
    """Open a file on one thread; what comes back writes so many tokens after a prompt, greedily."""
    import llama_cpp

    _be_quiet()
    model = llama_cpp.llama_model_load_from_file(
        str(path).encode(), llama_cpp.llama_model_default_params()
    )
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_threads, settings.n_threads_batch = 2304, 1, 1
    context = llama_cpp.llama_init_from_model(model, settings)
    assert model, f"llama.cpp does not read {path}"
    assert context, f"llama.cpp does not run {path}"
    sampler, memory = llama_cpp.llama_sampler_init_greedy(), llama_cpp.llama_get_memory(context)

    def write(prompt: list[int]) -> list[int]:
        llama_cpp.llama_memory_clear(memory, True)
        read, written = (llama_cpp.llama_token * len(prompt))(*prompt), []
        for _ in range(n_tokens):
            batch = llama_cpp.llama_batch_get_one(read, len(read))
            status = llama_cpp.llama_decode(context, batch)
            assert status == 0, f"llama.cpp ended with {status}"
            written.append(llama_cpp.llama_sampler_sample(sampler, context, -1))
            read = (llama_cpp.llama_token * 1)(written[-1])
        return written

    return write
