"""Pretrained feature extractors: the registry of named backbones, imports of other models, and embedders of both."""

from model_maker.backbones.registry import BACKBONES, DEFAULT, Backbone, get

__all__ = ["BACKBONES", "DEFAULT", "Backbone", "get"]
