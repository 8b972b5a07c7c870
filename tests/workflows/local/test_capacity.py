"""Who gets which slot."""

from __future__ import annotations

from workflows.local.capacity import Capacity, Request, place

ONE = Capacity(cpus=2, gpus=("0",))


def test_one_gpu_one_training() -> None:
    wanted = [Request(cpu=1, gpus=1), Request(cpu=1, gpus=1), Request(cpu=1, gpus=0)]
    first, second, third = place(wanted, [], ONE)
    assert first.gpus == ("0",)
    assert second.message == "Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    assert third.message is None, "who needs no GPU passes who waits for one"


def test_a_held_gpu_is_not_given_again() -> None:
    two = Capacity(cpus=8, gpus=("0", "3"))
    assert place([Request(cpu=1, gpus=1)], [(1, ["0"])], two)[0].gpus == ("3",)
    assert place([Request(cpu=1, gpus=2)], [(1, ["0"])], two)[0].message is not None


def test_who_waits_for_cores_is_not_passed() -> None:
    placed = place([Request(cpu=2, gpus=0), Request(cpu=0.5, gpus=0)], [(0.5, [])], ONE)
    assert [each.message for each in placed] == ["Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."] * 2
    assert place([Request(cpu=0, gpus=0)], [(2, [])], ONE)[0].message is None


def test_requests_above_the_machine_are_clamped_and_said_so() -> None:
    assert Request(cpu=8, gpus=4).clamped(ONE) == (
        Request(cpu=2, gpus=1),
        "asks for 4 GPUs, this machine has 1: runs with 1; asks for 8 CPUs, this machine has 2: runs with 2",
    )
    bare = Capacity(cpus=2)
    assert Request(cpu=1, gpus=1).clamped(bare) == (Request(cpu=1, gpus=0), "no GPU on this machine: runs on the CPU")
    assert Request(cpu=1, gpus=0).clamped(bare) == (Request(cpu=1, gpus=0), "")


def test_requests_of_a_container() -> None:
    resources = {"limits": {"nvidia.com/gpu": "1", "memory": "1Gi", "cpu": "4"}, "requests": {"cpu": "500m"}}
    assert Request.of(resources) == Request(cpu=0.5, gpus=1)
    assert Request.of({"limits": {"cpu": 2}}) == Request(cpu=2, gpus=0)
    assert Request.of({}) == Request(cpu=0, gpus=0)


def test_detect_takes_the_setting() -> None:
    assert Capacity.detect(gpus="0, 2").gpus == ("0", "2")
    assert Capacity.detect(gpus="none").gpus == ()
    assert Capacity.detect(gpus="none").cpus >= 1
