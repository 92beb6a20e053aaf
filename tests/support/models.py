"""Comparisons of fitted topic models."""


def everything(model, corpus):
    """Return all results of a fit except seconds, with the weights as bytes."""
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in model.history_]
    weights = {name: value.numpy().tobytes() for name, value in model.network_.state_dict().items()}
    ending = model.ending()
    return weights, repr((history, ending, model.score(corpus))), model.transform(corpus).tobytes()
