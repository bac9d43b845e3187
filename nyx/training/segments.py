"""A training Program of the act variant: one segment over one micro-batch, with deep supervision and a carry.

The loss of a segment is the mean over characters of the cross-entropy plus the mean over rows of the halting head's,
both over the whole batch, whatever ended before: sum of losses / characters of the batch + sum of the head's losses /
rows of the batch that have a target. Rows that ended in an earlier segment add nothing to either sum. Where all rows
have as many targets that is the original's sum of per-row means, divided by the rows.
"""

from __future__ import annotations

from nyx import ops
from nyx.nn.hrm_act import ActHrm
from nyx.nn.layers import Context
from nyx.program import Program
from nyx.tensor import Tensor
from nyx.training.programs import Inputs, Loss, MicroStep

STREAM = 0x68616C74  # of the numbers that halting draws


class Carry:
    """What each row of a whole batch keeps between segments, made once: z_H and z_L, and how far it is.

    rows: one more than the batch has; the last one is for all that pads a micro-batch, which is alike. progress:
    segments done, negative where the row has ended.
    """

    def __init__(self, rows: int, time: int, width: int) -> None:
        self.z_h = Tensor("carry.z_H", (rows, time * width), role="state")
        self.z_l = Tensor("carry.z_L", (rows, time * width), role="state")
        self.progress = Tensor("carry.progress", (rows, 1), role="state")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that it is made of."""
        return self.z_h, self.z_l, self.progress

    def take(self, rows: Tensor, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """z_H and z_L (B, T, C) and progress (B,) of some rows (B,)."""
        z_h, z_l, progress = (ops.embedding(rows, kept) for kept in (self.z_h, self.z_l, self.progress))
        return z_h.reshape(*shape), z_l.reshape(*shape), progress.reshape(shape[0])

    def put(self, rows: Tensor, z_h: Tensor, z_l: Tensor, progress: Tensor) -> None:
        """Keeps them for the next segment."""
        for x, kept in ((z_h, self.z_h), (z_l, self.z_l), (progress, self.progress)):
            ops.put_rows(x.reshape(rows.size, kept.shape[1]), rows, kept)


def segment_step(
    model: ActHrm,
    inputs: Inputs,
    carry: Carry,
    *,
    first: bool,
    accumulate: bool,
    label_smoothing: float,
    loss: Loss,
) -> MicroStep:
    """Forward from the initial states (first) or from the carry, both losses, backward, and who ends.

    What the head says after one more segment, without gradient, is the target of its choice to continue. `inputs.sums`
    gets a row's characters once: in the last segment that it takes part in.
    """
    config, (batch, time) = model.config, inputs.tokens.shape
    program = Program("train" + (".first" if first else ".next") + (".more" if accumulate else ""))
    with program:
        x, progress = model.embed(inputs.tokens), None
        z_h, z_l = model.z_h, model.z_l
        if not first:
            z_h, z_l, progress = carry.take(inputs.rows, (batch, time, config.n_embd))
        z_h, z_l = model.segment(x, z_h, z_l, Context())
        logits, q = model.head(z_h), model.q_head(z_h)
        nats, correct, dlogits = ops.cross_entropy(
            logits, inputs.targets, inputs.norm, progress, label_smoothing=label_smoothing, kind=loss
        )
        with program.no_grad():
            after, _ = model.segment(x, z_h, z_l, Context())
            dq, now, totals = ops.halt(
                q, model.q_head(after), nats, correct, inputs.targets, inputs.row_norm, inputs.counter, progress,
                max_steps=config.halt_max_steps, exploration=config.halt_exploration_prob,
                accuracy=config.halt_accuracy, stream=STREAM,
            )  # fmt: skip
            ops.metrics(totals.flat(0, (batch,)), totals.flat(batch, (batch,)), inputs.sums)
            carry.put(inputs.rows, z_h, z_l, now)
    reached = program.backward({logits: dlogits, q: dq}, model.parameters.grad_of, accumulate=accumulate)
    return MicroStep(program, tuple(reached))
