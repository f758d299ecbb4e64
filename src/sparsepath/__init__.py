"""Find the working parts of a Transformer, keep only those, and see why it decides.

Nothing heavy is imported before it is used: `import sparsepath` is fast and needs no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from sparsepath.version import __version__

if TYPE_CHECKING:
    from sparsepath.artifacts.catalogue import Catalogue as Catalogue
    from sparsepath.concepts.build import build_catalogue as build_catalogue
    from sparsepath.concepts.endpoint import Endpoint as Endpoint
    from sparsepath.concepts.endpoint_labels import label_neurons as label_neurons
    from sparsepath.concepts.endpoint_labels import plan_labels as plan_labels
    from sparsepath.concepts.options import CatalogueOptions as CatalogueOptions
    from sparsepath.config import EnsembleOptions as EnsembleOptions
    from sparsepath.config import GenerateOptions as GenerateOptions
    from sparsepath.config import HypothesisOptions as HypothesisOptions
    from sparsepath.config import PocOptions as PocOptions
    from sparsepath.config import SweepOptions as SweepOptions
    from sparsepath.data.tables import read_table as read_table
    from sparsepath.errors import ConfigError as ConfigError
    from sparsepath.errors import DataError as DataError
    from sparsepath.errors import MissingExtraError as MissingExtraError
    from sparsepath.errors import ModelError as ModelError
    from sparsepath.errors import RunError as RunError
    from sparsepath.errors import ShapeError as ShapeError
    from sparsepath.errors import SparsepathError as SparsepathError
    from sparsepath.evaluate.convert import convert as convert
    from sparsepath.evaluate.doctor import doctor as doctor
    from sparsepath.evaluate.ensemble_model import ensemble as ensemble
    from sparsepath.evaluate.explain import explain as explain
    from sparsepath.evaluate.features.measure import measure_concepts as measure_concepts
    from sparsepath.evaluate.features.options import MeasureOptions as MeasureOptions
    from sparsepath.evaluate.harness import evaluate as evaluate_suite
    from sparsepath.evaluate.hypothesis import hypothesis as hypothesis
    from sparsepath.evaluate.saebench import saebench_neurons as saebench_neurons
    from sparsepath.evaluate.steering import save_preset as save_preset
    from sparsepath.evaluate.steering_classes import sweep_classes as sweep_classes
    from sparsepath.evaluate.steering_classes import try_classes as try_classes
    from sparsepath.evaluate.steering_sweep import sweep_steering as sweep_steering
    from sparsepath.evaluate.texts import evaluate_texts as evaluate_texts
    from sparsepath.nn.subsampling import subsample as subsample
    from sparsepath.poc.run import run_poc as run_poc
    from sparsepath.report.write import write_report as write_report
    from sparsepath.runtime.engine import load_engine as load
    from sparsepath.runtime.export import export_model as export
    from sparsepath.runtime.language.engine import Engine as Engine
    from sparsepath.runtime.language.tracing import Trace as Trace
    from sparsepath.runtime.predict import predict_file as predict
    from sparsepath.steering.hooks import steer as steer
    from sparsepath.steering.judge import word_judge as word_judge
    from sparsepath.steering.latents import latent_edits as latent_edits
    from sparsepath.train.recipe_file import read_recipe as read_recipe
    from sparsepath.train.trainer import train as run_recipe

_HOMES = {
    "PocOptions": "sparsepath.config.PocOptions",
    "SparsepathError": "sparsepath.errors.SparsepathError",
    "DataError": "sparsepath.errors.DataError",
    "ModelError": "sparsepath.errors.ModelError",
    "ConfigError": "sparsepath.errors.ConfigError",
    "ShapeError": "sparsepath.errors.ShapeError",
    "RunError": "sparsepath.errors.RunError",
    "MissingExtraError": "sparsepath.errors.MissingExtraError",
    "read_table": "sparsepath.data.tables.read_table",
    "run_poc": "sparsepath.poc.run.run_poc",
    "load": "sparsepath.runtime.engine.load_engine",
    "predict": "sparsepath.runtime.predict.predict_file",
    "explain": "sparsepath.evaluate.explain.explain",
    "export": "sparsepath.runtime.export.export_model",
    "write_report": "sparsepath.report.write.write_report",
    "doctor": "sparsepath.evaluate.doctor.doctor",
    "EnsembleOptions": "sparsepath.config.EnsembleOptions",
    "HypothesisOptions": "sparsepath.config.HypothesisOptions",
    "GenerateOptions": "sparsepath.config.GenerateOptions",
    "Catalogue": "sparsepath.artifacts.catalogue.Catalogue",
    "CatalogueOptions": "sparsepath.concepts.options.CatalogueOptions",
    "try_classes": "sparsepath.evaluate.steering_classes.try_classes",
    "sweep_classes": "sparsepath.evaluate.steering_classes.sweep_classes",
    "MeasureOptions": "sparsepath.evaluate.features.options.MeasureOptions",
    "measure_concepts": "sparsepath.evaluate.features.measure.measure_concepts",
    "build_catalogue": "sparsepath.concepts.build.build_catalogue",
    "Endpoint": "sparsepath.concepts.endpoint.Endpoint",
    "label_neurons": "sparsepath.concepts.endpoint_labels.label_neurons",
    "plan_labels": "sparsepath.concepts.endpoint_labels.plan_labels",
    "Engine": "sparsepath.runtime.language.engine.Engine",
    "Trace": "sparsepath.runtime.language.tracing.Trace",
    "hypothesis": "sparsepath.evaluate.hypothesis.hypothesis",
    "ensemble": "sparsepath.evaluate.ensemble_model.ensemble",
    "convert": "sparsepath.evaluate.convert.convert",
    "evaluate_suite": "sparsepath.evaluate.harness.evaluate",
    "evaluate_texts": "sparsepath.evaluate.texts.evaluate_texts",
    "run_recipe": "sparsepath.train.trainer.train",
    "read_recipe": "sparsepath.train.recipe_file.read_recipe",
    "SweepOptions": "sparsepath.config.SweepOptions",
    "saebench_neurons": "sparsepath.evaluate.saebench.saebench_neurons",
    "save_preset": "sparsepath.evaluate.steering.save_preset",
    "sweep_steering": "sparsepath.evaluate.steering_sweep.sweep_steering",
    "word_judge": "sparsepath.steering.judge.word_judge",
    "steer": "sparsepath.steering.hooks.steer",
    "latent_edits": "sparsepath.steering.latents.latent_edits",
    "subsample": "sparsepath.nn.subsampling.subsample",
}

__all__ = [
    "Catalogue",
    "CatalogueOptions",
    "ConfigError",
    "DataError",
    "Endpoint",
    "Engine",
    "EnsembleOptions",
    "GenerateOptions",
    "HypothesisOptions",
    "MeasureOptions",
    "MissingExtraError",
    "ModelError",
    "PocOptions",
    "RunError",
    "ShapeError",
    "SparsepathError",
    "SweepOptions",
    "Trace",
    "__version__",
    "build_catalogue",
    "convert",
    "doctor",
    "ensemble",
    "evaluate_suite",
    "evaluate_texts",
    "explain",
    "export",
    "hypothesis",
    "label_neurons",
    "latent_edits",
    "load",
    "measure_concepts",
    "plan_labels",
    "predict",
    "read_recipe",
    "read_table",
    "run_poc",
    "run_recipe",
    "saebench_neurons",
    "save_preset",
    "steer",
    "subsample",
    "sweep_classes",
    "sweep_steering",
    "try_classes",
    "word_judge",
    "write_report",
]


def public_names() -> dict[str, str]:
    """Give every public name of the package and where it is defined, as a dotted path."""
    return dict(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sparsepath' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    """List the public names, so that completion finds them."""
    return sorted(__all__)
