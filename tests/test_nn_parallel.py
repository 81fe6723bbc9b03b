"""Wrappers for several devices and processes, of which there is one: same results, PyTorch's keys, the rest refused."""

import pytest

import tensorlite as tl
from tensorlite import errors, nn

WRAPPERS = [nn.DataParallel, nn.parallel.DistributedDataParallel]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_one_is_like_none(wrapper, device):
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model, x = wrapper(module), tl.randn(5, 3)
    assert model.module is module and list(model.state_dict()) == ["module." + k for k in module.state_dict()]
    model(x).square().sum().backward()
    grads = [p.grad.clone() for p in model.parameters()]
    module.zero_grad()
    module(x).square().sum().backward()
    assert all((a == p.grad).all() for a, p in zip(grads, module.parameters(), strict=True))
    assert (wrapper(module.eval(), device_ids=[x.device])(x) == module(x)).all()
    assert (
        nn.parallel.data_parallel(module, x) == nn.parallel.data_parallel(module, (), module_kwargs={"input": x})
    ).all()


@pytest.mark.parametrize("wrapper", [*WRAPPERS, lambda m, **kw: nn.parallel.data_parallel(m, (tl.ones(1, 3),), **kw)])
def test_several_devices_are_refused(wrapper, device):
    with pytest.raises(errors.ArgumentError, match="one device at most, got cpu, fake; a model is not copied"):
        wrapper(nn.Linear(3, 4), device_ids=["cpu"], output_device="fake")


def test_processes_are_not_there():
    assert not tl.distributed.is_available() and not tl.distributed.is_initialized()
    with pytest.raises(errors.ArgumentError, match="no training by several processes yet"):
        nn.parallel.DistributedDataParallel(nn.Linear(1, 1), process_group=object())
    with pytest.raises(errors.ArgumentError, match="no parameter of the module requires grad"):
        nn.parallel.DistributedDataParallel(nn.ReLU())
    model = nn.parallel.DistributedDataParallel(nn.Linear(1, 1))
    with model.no_sync():
        model(tl.ones(1, 1)).sum().backward()
    assert model.module.weight.grad.item() == 1
