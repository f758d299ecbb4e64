"""Documents of a dataset of the Hugging Face hub, or of a folder that `datasets` reads, streamed.

Nothing is downloaded as a whole: rows come as they are read. Datasets that bring code of their own
are refused by `datasets` itself.
"""

from collections.abc import Iterator

from sparsepath.errors import DataError

PREFIX = "datasets:"
"""What a source of this kind begins with."""


def streamed_documents(
    name: str, *, subset: str | None = None, split: str = "train", column: str = "text"
) -> Iterator[str]:
    """Read the documents of a dataset in its order.

    Args:
        name: id on the hub such as `wikimedia/wikipedia`, or a folder of parquet, json, csv or
            text files.
        subset: of the dataset, such as `20231101.en`; None where it has one only.
        split: which part.
        column: that holds the text.

    Raises:
        DataError: if there is no such dataset, subset, split or column, or it cannot be reached.
    """
    import datasets

    where = f"{name}, subset {subset or 'none'}, split {split}"
    try:
        rows = datasets.load_dataset(name, subset, split=split, streaming=True)
        for number, row in enumerate(rows):
            text = row.get(column)
            if not isinstance(text, str):
                columns = ", ".join(sorted(row))
                raise DataError(
                    f"row {number} of {where} has no text in column {column!r}; it has {columns}",
                    hint="name the column by data.column",
                )
            yield text
    # `datasets` and what it reads with raise errors of many kinds; these are their common bases.
    except (datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError) as err:
        said = (str(err) or type(err).__name__).splitlines()[0]
        raise DataError(
            f"{where} cannot be read ({said})",
            hint="check the id, data.subset and data.split, and that the hub can be reached",
        ) from err
