"""Labelled clouds of numbers, and heads that scikit-learn fits on them: what our fit has to come to."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from model_maker.tflite.network_layers import Layer


def clusters(counts, *, features=16, distance=0.6, seed=0):
    """Draws one normal cloud a class: float16 [N, D] and labels."""
    random = np.random.default_rng(seed)
    centers = distance * random.normal(size=(len(counts), features))
    labels = np.repeat(np.arange(len(counts)), counts)
    return (centers[labels] + random.normal(size=(len(labels), features))).astype(np.float16), labels


def standardized(embeddings):
    """The published recipe's preprocessing: centred, one scale for all features."""
    features = embeddings.astype(float) - embeddings.astype(float).mean(axis=0)
    return features / np.sqrt((features**2).mean())


def second_opinion(features, labels, weights, strength):
    """scikit-learn minimizes C * sum(w * loss) + |kernel|^2 / 2, we mean(w * loss) + strength * |kernel|^2 / 2."""
    model = LogisticRegression(C=1 / (strength * weights.sum()), tol=1e-8, max_iter=5000)
    with threadpool_limits(1):  # on busy cores BLAS threads wait for each other a thousand times longer than they work
        return model.fit(features, labels, sample_weight=weights)


def held_out_logits(features, labels, weights, strength, folds):
    logits = np.empty((len(labels), labels.max() + 1))
    for fold in np.unique(folds):
        held = folds == fold
        model = second_opinion(features[~held], labels[~held], weights[~held], strength)
        logits[held] = model.decision_function(features[held])
    return logits


def mean_loss(logits, labels, weights):
    return np.average(-np.log(softmax(logits)[np.arange(len(labels)), labels]), weights=weights)


def softmax(logits):
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def round_robin(labels, count=5):
    folds = np.empty(len(labels), int)
    for label in np.unique(labels):
        folds[labels == label] = np.arange((labels == label).sum()) % count
    return folds


# Sizes 6, 5 and 4; the second has the smallest maps, and the embedding follows.
LAYERS = (Layer("low", 6, 14), Layer("high", 5, 7, 0.5), Layer("embedding", 4, 1))


def layered(signals, *, per_class=60, seed=0):
    """Photos of three classes, which each layer tells apart by so much: float16 [N, 15] and labels.

    A layer has its own scale and mean, which must not matter.
    """
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), per_class)
    parts = []
    for layer, signal, scale in zip(LAYERS, signals, (0.2, 30.0, 2.0), strict=True):
        centers = random.normal(size=(3, layer.size))
        parts.append(scale * (signal * centers[labels] + random.normal(size=(len(labels), layer.size)) + 1))
    return np.concatenate(parts, axis=1).astype(np.float16), labels
