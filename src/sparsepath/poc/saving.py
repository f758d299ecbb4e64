"""Writing a candidate into the run folder: Hugging Face files, ONNX graphs and a model card."""

from sparsepath.artifacts.neurons import NeuronsFile
from sparsepath.artifacts.store import folder_atomic
from sparsepath.evaluate.model_folder import MEANS_ROWS, add_model_graphs, write_model_folder
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_sites
from sparsepath.models.save import load_classifier
from sparsepath.poc.state import Draft
from sparsepath.poc.workspace import MODELS_FOLDER, Workspace
from sparsepath.runtime.build import GRAPHS
from sparsepath.trace.gates import unit_means

CARD = """---
license: {licence}
library_name: sparsepath
pipeline_tag: text-classification
---
# {name}

A text classifier with {n_labels} labels, made by `sparsepath poc`.

- What it is: {what}
- Cut from: {parent}; base model: {origin}
- Layers kept (attention heads, MLP neurons): {layers}
- Vocabulary: {vocabulary} pieces; at most {max_length} tokens of a text are read
- Training rows: {n_train}; seed {seed}; data sha256 `{sha256}`

Measured quality and cost of this model, beside all others that were compared, are in the
`results.json` and `report.html` of the run that made it. It knows nothing but the labels of that
table: a text about anything else still gets one of them, so look at the probability.

Use it: `sparsepath predict {name} texts.csv -o labels.csv`, or with transformers:

```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("{name}", trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained("{name}")
```
"""


def save_candidate(
    work: Workspace,
    draft: Draft,
    model: PathwayClassifier,
    *,
    is_whole: bool = False,
    neurons: NeuronsFile | None = None,
) -> None:
    """Write a model folder whole or not at all, and remember the candidate.

    Args:
        work: The run.
        draft: What the candidate is; its `folder` says where.
        model: The classifier.
        is_whole: Whether it has the whole vocabulary instead of the reduced one.
        neurons: What the neurons of a sparse model stand for.
    """
    tokenizer = work.encoder.tokenizer_json if is_whole else work.encoder.small_tokenizer_json
    assert draft.folder == f"{MODELS_FOLDER}/{draft.name}"
    reduced = work.reduced(model) if is_whole else model
    with folder_atomic(work.path(draft.folder)) as folder:
        write_model_folder(
            folder,
            model,
            tokenizer,
            card=_card(work, draft, model),
            means=unit_means(reduced, work.batches(work.train, MEANS_ROWS)),
            neurons=neurons,
        )
    work.state.put(draft)


def add_int8(work: Workspace, draft: Draft) -> None:
    """Add a graph in int8 to a model folder, and a candidate that uses it."""
    assert draft.folder is not None
    folder, name = work.path(draft.folder), f"{draft.name}-int8"
    model = load_classifier(folder).model
    if not (folder / GRAPHS["int8"]).exists():
        add_model_graphs(folder, model, ["fp32", "int8"])
    work.state.put(
        draft.model_copy(
            update={
                "name": name,
                "precision": "int8",
                "parent": draft.name,
                "kind": draft.kind,
                "note": f"{draft.name} with weights in int8",
                "predicted_ms": None,
            }
        )
    )


def _card(work: Workspace, draft: Draft, model: PathwayClassifier) -> str:
    """Fill in the model card."""
    layers = [(len(layer["heads"]), layer["neurons"]) for layer in model.config.layers]
    return CARD.format(
        licence=(work.encoder.licence or "unknown").lower(),
        name=draft.name,
        n_labels=len(work.label_names),
        what=draft.note or draft.kind,
        parent=draft.parent or "nothing",
        origin=work.encoder.origin,
        layers=layers,
        vocabulary=encoder_sites(model.encoder).embedding.num_embeddings,
        max_length=model.config.max_length,
        n_train=len(work.rows_file.train),
        seed=work.options.seed,
        sha256=work.rows_file.sha256,
    )
