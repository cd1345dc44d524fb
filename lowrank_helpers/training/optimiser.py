"""A step of AdamW, in mixed precision and over several processes, and the state that it carries."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what torch's AdamW keeps of each parameter


class Optimiser:
    """AdamW (Loshchilov and Hutter 2019) on named parameters, with weight decay on matrices and none on vectors.

    The parameters keep the dtype they have, float32 as a rule. The products run in ``dtype`` under torch.autocast; in
    float16 the loss is scaled up before the backward pass, so that small gradients do not become zero. Each parameter
    named in ``times`` is trained at so many times the learning rate of the others.
    """

    def __init__(
        self,
        trained: dict[str, nn.Parameter],
        device: torch.device,
        dtype: torch.dtype,
        *,
        weight_decay: float,
        betas: tuple[float, float],
        clip: float,
        times: Mapping[str, float] | None = None,
    ) -> None:
        self.trained, self.device, self.dtype, self.clip = trained, device, dtype, clip
        alike: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in trained.items():
            decay = weight_decay if parameter.ndim >= 2 else 0.0
            alike.setdefault((decay, (times or {}).get(name, 1.0)), []).append(parameter)
        groups = [{"params": group, "weight_decay": decay, "times": factor} for (decay, factor), group in alike.items()]
        self.adamw = torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=True)
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)

    def autocast(self) -> torch.autocast:
        """Return the context that forward passes run in."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def add_gradient(self, forward: Callable[..., Tensor], tokens: Tensor, targets: Tensor, share: float) -> Tensor:
        """Add ``share`` of the gradient of one batch's mean loss; return as much of that loss."""
        with self.autocast():
            loss = forward(tokens.to(self.device), targets.to(self.device)) * share
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def clip_gradient(self, loss: Tensor, processes: int) -> tuple[float, float]:
        """Average loss and gradient over the processes, clip the gradient; return the loss and the norm before.

        Of several processes the tensors travel in one message, as a message for each would wait for each; that needs
        the bytes of the gradients once more. A GPU is waited for once: the caller has to know both numbers to go on.
        """
        gradients = [parameter.grad for parameter in self.trained.values() if parameter.grad is not None]
        if processes > 1:
            tensors = [loss, *gradients]
            message = torch.cat([tensor.flatten() for tensor in tensors])
            dist.all_reduce(message)
            message /= processes
            for tensor, mean in zip(tensors, torch.split(message, [t.numel() for t in tensors]), strict=True):
                tensor.copy_(mean.view_as(tensor))
        self.scaler.unscale_(self.adamw)
        norm = nn.utils.clip_grad_norm_(self.trained.values(), self.clip)
        found, length = torch.stack((loss, norm)).tolist()
        return found, length

    def step(self, learning_rate: float) -> None:
        """Take the step, and forget the gradient. In float16 one whose gradient overflowed is left out."""
        for group in self.adamw.param_groups:
            group["lr"] = learning_rate * group["times"]
        self.scaler.step(self.adamw)
        self.scaler.update()
        self.forget_gradient()

    def forget_gradient(self) -> None:
        """Let no trained parameter have a gradient."""
        self.adamw.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """Return the trained parameters and the moments, by name."""
        found = {f"parameter.{name}": parameter.detach() for name, parameter in self.trained.items()}
        for name, parameter in self.trained.items():
            kept = self.adamw.state[parameter]
            found |= {f"{moment}.{name}": kept[moment] for moment in MOMENTS if moment in kept}
        return found

    def state(self) -> dict[str, Any]:
        """Return what else a resumed run needs: the scale of the loss."""
        return dict(self.scaler.state_dict())

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take over what `tensors` and `state` returned in another process."""
        for name, parameter in self.trained.items():
            parameter.data.copy_(tensors[f"parameter.{name}"])
            kept = {moment: tensors[f"{moment}.{name}"] for moment in MOMENTS if f"{moment}.{name}" in tensors}
            self.adamw.state[parameter] = {moment: tensor.to(self.device) for moment, tensor in kept.items()}
        self.scaler.load_state_dict(state)
