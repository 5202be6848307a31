"""Binary cross-entropy that discounts what is nearly right."""

from keras import ops


def cross_entropy(wanted, logits, gamma=0.0, alpha=None):
    """Return the binary cross-entropy, as focal loss (arXiv 1708.02002) where gamma or alpha is given.

    Of scores that are wanted between 0 and 1, such as overlaps, it is the quality focal loss (arXiv 2006.04388).

    Args:
        wanted: scores in 0..1; they broadcast to the logits.
        logits: raw scores.
        gamma: exponent of the factor |wanted - score|; 0 for none.
        alpha: weight of wanted scores of 1, with 1 - alpha for those of 0; None weighs both by 1.
    """
    wanted = ops.broadcast_to(wanted, ops.shape(logits))
    loss = ops.binary_crossentropy(wanted, logits, from_logits=True)
    if gamma:
        # At least 1e-7: at 0 the power's gradient would be infinite.
        loss *= ops.power(ops.maximum(ops.abs(wanted - ops.sigmoid(logits)), 1e-7), gamma)
    if alpha is not None:
        loss *= alpha * wanted + (1 - alpha) * (1 - wanted)
    return loss
