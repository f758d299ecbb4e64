"""Hugging Face encoders, the classifier on top of them, and surgery that makes them smaller.

Importing this package makes transformers' `Auto` classes know the classifier, so that a folder
saved by sparsepath loads without running the copy of its code that lies in the folder.
"""

from transformers import AutoConfig, AutoModelForSequenceClassification

from sparsepath.models.classifier import PathwayClassifier, PathwayConfig

AutoConfig.register(PathwayConfig.model_type, PathwayConfig)
AutoModelForSequenceClassification.register(PathwayConfig, PathwayClassifier)
