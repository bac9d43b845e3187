"""The operations of a training step against PyTorch's, in float64; skipped without torch, which is no dependency."""

from __future__ import annotations

import numpy as np
import pytest

from nyx.ops import adam, clip, cross_entropy, grad_norm

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
torch.set_num_threads(1)  # at these sizes threads only wait for each other


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (40, 65), (3, 300)])
def test_cross_entropy(rows: int, classes: int, smoothing: float) -> None:
    rng = np.random.default_rng(rows)
    logits, targets = 5 * rng.standard_normal((rows, classes)), rng.integers(0, classes, rows, dtype=np.int32)
    targets[::5] = -1
    norm = np.array([1 / 7])
    loss, correct, dlogits = cross_entropy.run(logits, targets, norm, label_smoothing=smoothing)
    x = torch.tensor(logits, requires_grad=True)
    want = torch.nn.functional.cross_entropy(
        x, torch.tensor(targets).long(), ignore_index=-1, label_smoothing=smoothing, reduction="none"
    )
    (want.sum() / 7).backward()
    assert x.grad is not None
    assert dlogits is not None
    np.testing.assert_allclose(loss, want.detach().numpy(), atol=1e-13)
    np.testing.assert_allclose(dlogits, x.grad.numpy(), atol=1e-14)
    np.testing.assert_array_equal(correct, logits.argmax(axis=1) == targets)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_fifty_clipped_steps_of_adam(decay: float) -> None:
    """Two tensors with one norm, as a training step makes it: parameters and the norm of every step."""
    rng, sizes, betas, lr, max_norm = np.random.default_rng(1), (21, 17_000), (0.9, 0.95), 0.01, 30.0
    ours = [[rng.standard_normal(n), np.zeros(n), np.zeros(n)] for n in sizes]
    theirs = [torch.nn.Parameter(torch.tensor(p)) for p, _, _ in ours]
    optimizer = torch.optim.AdamW(theirs, lr=lr, betas=betas, eps=1e-8, weight_decay=decay)
    control = np.zeros(4)
    for t in range(1, 51):
        gradients = [rng.standard_normal(n) * (0.1 if t % 2 else 1) for n in sizes]
        hyper = np.array([[lr, max_norm, t, 0], [decay, 1 - betas[0] ** t, 1 - betas[1] ** t, 0]])
        clip.run(np.concatenate([grad_norm.run(g) for g in gradients]), hyper, control)
        for g, (p, m, v) in zip(gradients, ours, strict=True):
            adam.run(g, hyper, control, p, m, v, row=1, beta1=betas[0], beta2=betas[1], eps=1e-8)
        for p, g in zip(theirs, gradients, strict=True):
            p.grad = torch.tensor(g)
        norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
        optimizer.step()
        assert control[1] == pytest.approx(norm.item(), rel=1e-12) and (control[0] < 1) == (norm > max_norm)
    for (p, _, _), want in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p, want.detach().numpy(), rtol=1e-11, atol=1e-13)
