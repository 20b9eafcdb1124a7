"""The model bundle: a folder with the model, its spec, its metrics and its golden vectors."""

from px4_tinyml.bundle.model_bundle import FLOAT_FILE, HASHED_FILES, MODEL_FILE, REPORT_FILE, ModelBundle, check_model

__all__ = ["FLOAT_FILE", "HASHED_FILES", "MODEL_FILE", "REPORT_FILE", "ModelBundle", "check_model"]
