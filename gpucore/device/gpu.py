"""The GPU device: one wgpu adapter, hardware or a software driver. Collects dispatches and submits them together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..array import Array
from ..dtypes import DType, as_dtype, to_storage
from ..errors import NoAdapterError, RecordingError, ShapeError
from ..memory import Arena, Block, MemoryPool, MemoryStats, Storage, VramLimit, format_bytes
from ..profile import Profile
from ..shader import Features, Shader
from ..tuning_file import load as load_tuning
from . import native as n
from .base import Device
from .compiled import CompiledShaders
from .info import DeviceInfo
from .opening import open_adapter
from .prepared import Prepared
from .recording import Place, Recording
from .timing import Span, Timing
from .transfer import DIRECT, SPIN, Readback, Staging

if TYPE_CHECKING:
    from ..kernel import Kernel

BATCH, FIRST = 48, 12
"""Commands that collect before they are submitted unasked, and how many when the device has nothing to do: it should
start early, and each submission costs about as much as ten commands."""
MAX_PREPARED = 8192
MAX_GROUPS_CACHED = 32768


class GpuDevice(Device):
    """One adapter, opened.

    vram_limit: see VramLimit. without: features not to use though the adapter has them (subgroups, f16, immediates, int64),
    so that the paths without them can be tested.
    """

    def __init__(self, info: DeviceInfo, vram_limit: Any = None, without: Sequence[str] = (), host_memory: int | None = None) -> None:
        super().__init__(info)
        use = info.features - set(without)
        try:
            self.native = n.Native(open_adapter(info.adapter, use))
        except NoAdapterError as error:
            raise NoAdapterError(f"adapter {info.name!r} ({info.backend}) could not be opened: {error}") from None
        self.features = Features("subgroups" in use, "f16" in use, "immediates" in use, "int64" in use)
        self.limits = info.limits
        self._alignment = info.limits["offset_alignment"]
        self.has_timestamps = "timestamps" in use
        limit = VramLimit(vram_limit.spec if isinstance(vram_limit, VramLimit) else vram_limit)
        # What a discrete adapter has cannot be asked for through WebGPU; the others share the host's memory.
        total = host_memory if info.kind in ("software", "integrated") else None
        self.pool = MemoryPool(self._create_buffer, self._destroy, limit.resolve(total), info.limits["max_buffer"])
        # A software driver needs the processor that a spinning host would take.
        self.staging = Staging(self.native, self.pool, 0.0 if info.kind == "software" else SPIN)
        self.pool.on_pressure = self._make_room
        self.poison = False
        self._lock = threading.RLock()
        self._local = threading.local()
        self._pending: list[tuple[Any, ...]] = []
        self._epoch = 0
        self._prepared: dict[Any, Prepared] = {}
        self._groups: dict[tuple[int, ...], Any] = {}
        self.compiled = CompiledShaders(self.native, self.features)
        self._profile: Profile | None = None
        self._span: Span | None = None
        self._nothing = self.native.create_buffer(256, n.TENSOR_USAGE)  # bound where an optional input is missing
        self.subgroup_size = self._measure_subgroup() if self.features.subgroups else 0
        self.info = replace(info, subgroup_size=self.subgroup_size, features=frozenset(use))
        self.use_tuning(load_tuning(info))

    # ---- kernels

    def run(self, kernel: Kernel, inputs: Sequence[Array | None], options: dict[str, Any]) -> tuple[Array, ...]:
        """Queues one dispatch and returns its outputs at once."""
        key = (kernel.name, *[None if t is None else (t.shape, t.dtype) for t in inputs], *options.items())
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepare(key, kernel, inputs, options)
        outputs = tuple([self._empty(shape, dtype, "") for shape, dtype in prepared.outputs])
        if self.poison:
            for out in outputs:
                self._poison(out)
        if prepared.empty:
            return outputs
        if prepared.mutated:
            inputs = self._unalias(prepared, inputs)
        given = inputs
        for i, t in enumerate(inputs):
            if t is not None and (t.offset or t.nbytes != t.storage.used) and self._is_odd(t, i in prepared.mutated):
                inputs = self._aligned(inputs, prepared.mutated)
                break
        arrays = (*inputs, *outputs)
        self._push(self.command(prepared, arrays), arrays)
        for i in prepared.mutated:
            if inputs[i] is not given[i]:
                self._copy(inputs[i], given[i])  # type: ignore[arg-type]
        return outputs

    def _prepare(self, key: Any, kernel: Kernel, inputs: Sequence[Array | None], options: dict[str, Any]) -> Prepared:
        if len(self._prepared) > MAX_PREPARED:
            self._prepared.clear()
            self._groups.clear()
        launch = kernel.launch(inputs, options)
        outputs = [(tuple(o.shape), as_dtype(o.dtype)) for o in launch.outputs.values()]
        self._check_bindings(kernel, inputs, outputs)
        shader = kernel.shader.with_half if launch.half and self.features.f16 else kernel.shader
        pipeline, layout = self.compiled.get(shader, launch.constants)
        params = kernel.shader.pack(launch.params)
        prepared = Prepared.build(self.native, self.features.immediates, kernel, inputs, options, launch, outputs, pipeline, layout, params)
        self._prepared[key] = prepared
        return prepared

    def _check_bindings(self, kernel: Kernel, inputs: Sequence[Array | None], outputs: list[tuple[tuple[int, ...], DType]]) -> None:
        limit = self.limits["max_storage_binding"]
        if not kernel.runs_on(self):
            raise ShapeError(
                f"{kernel.name}: binds {kernel.buffers} buffers, more than the {self.limits['max_storage_buffers']} of {self.name}"
            )
        named = [(name, t.shape, t.nbytes) for name, t in zip(kernel.inputs, inputs, strict=True) if t is not None]
        named += [("the result", shape, prod(shape) * dtype.itemsize) for shape, dtype in outputs]
        for name, shape, nbytes in named:
            if nbytes > limit:
                raise ShapeError(
                    f"{kernel.name}: {name} {shape} is {format_bytes(nbytes)}, more than the {format_bytes(limit)} that "
                    f"{self.name} binds to a kernel; split it along its first axis"
                )

    def command(self, prepared: Prepared, arrays: Sequence[Array | Place | None]) -> tuple[Any, ...]:
        """One dispatch on these arrays, as `Native.submit` takes it; its bind group is made once."""
        key = (prepared.serial, *[0 if t is None else (t.storage.block.serial << 40) + t.offset for t in arrays])
        group = self._groups.get(key)
        if group is None:
            group = self._bind(key, prepared, arrays)
        return (prepared.pipeline, group, prepared.immediates, prepared.immediate_size, *prepared.grid, prepared)

    def _bind(self, key: tuple[int, ...], prepared: Prepared, arrays: Sequence[Array | Place | None]) -> Any:
        entries: list[tuple[int, Any, int, int]] = []
        for slot, which, size in prepared.slots:
            t = arrays[which]
            if t is None:
                entries.append((slot, self._nothing, 0, 256))
            else:
                block = t.storage.block
                block.groups.add(key)
                entries.append((slot, block.buffer, t.offset * t.dtype.itemsize, size))
        params_slot = prepared.kernel.shader.params_slot
        if prepared.uniform is not None and params_slot is not None:
            entries.append((params_slot, prepared.uniform, 0, n.WHOLE_SIZE))
        if len(self._groups) > MAX_GROUPS_CACHED:
            self._groups.clear()
        group = self._groups[key] = self.native.create_bind_group(prepared.layout, entries)
        return group

    def _unalias(self, prepared: Prepared, inputs: Sequence[Array | None]) -> Sequence[Array | None]:
        """Copies inputs that share a buffer with one that the kernel writes: a buffer has one use per dispatch."""
        written = {inputs[i].storage.block.serial for i in prepared.mutated if inputs[i] is not None}  # type: ignore[union-attr]
        fixed = list(inputs)
        for i, t in enumerate(inputs):
            if t is not None and i not in prepared.mutated and t.storage.block.serial in written:
                fixed[i] = self._empty(t.shape, t.dtype, t.name)
                self._copy(t, fixed[i])  # type: ignore[arg-type]
        return fixed

    def use_tuning(self, tuned: dict[str, str]) -> None:
        """From here on launches follow this table of measured candidates (see gpucore.tuning); recordings keep theirs."""
        self.tuned = tuned
        self._prepared.clear()
        self._groups.clear()

    def _is_odd(self, t: Array, changed: bool) -> bool:
        """True for a view that cannot be bound where it lies: it starts at an odd place, or a kernel that writes whole
        vec4s would change what follows it."""
        start = t.offset * t.dtype.itemsize
        end = start + t.nbytes
        return start % self._alignment != 0 or (changed and end % 16 != 0 and end < t.storage.used)

    def _aligned(self, inputs: Sequence[Array | None], mutated: Sequence[int]) -> Sequence[Array | None]:
        """The inputs with copies in place of odd views."""
        fixed = list(inputs)
        for i, t in enumerate(inputs):
            if t is not None and self._is_odd(t, i in mutated):
                fixed[i] = self._empty(t.shape, t.dtype, t.name)
                self._copy(t, fixed[i])  # type: ignore[arg-type]
        return fixed

    # ---- the queue of commands

    @property
    def recording(self) -> Recording | None:
        """The recording that this thread is making, or None."""
        return getattr(self._local, "recording", None)

    def _push(self, command: tuple[Any, ...], arrays: Sequence[Array | None]) -> None:
        recording = self.recording
        if recording is not None:
            recording.add(command, arrays)
            return
        with self._lock:
            epoch = self._epoch
            for t in arrays:
                if t is not None:
                    t.storage.block.epoch = epoch
            self._pending.append(command)
            if len(self._pending) >= (FIRST if self.native.idle else BATCH):
                self.flush()

    def flush(self) -> None:
        """Submits the commands that have collected."""
        self._submit(())

    def _submit(self, more: Sequence[tuple[Any, ...]]) -> int:
        with self._lock:
            if self._span is not None:
                self._pending.extend(more)
                return 0
            items = self._take_pending()
            items.extend(more)
            if self._profile is not None:
                return Timing(self.native, self._profile).submit(items, self.staging)
            if not items:
                self.native.poll()
                return 0
            if self.native.idle and len(items) > BATCH:
                self.native.submit(items[:FIRST])
                items = items[FIRST:]
            index = self.native.submit(items)
            self.staging.submitted()
            return index

    def _take_pending(self) -> list[tuple[Any, ...]]:
        with self._lock:
            items, self._pending = self._pending, []
            self._epoch += 1
            return items

    def synchronize(self) -> None:
        """Submits and waits until the device has done everything."""
        self.flush()
        self.native.poll(wait=True)

    # ---- record and replay

    def begin_recording(self) -> Recording:
        """From here on this thread's kernels are recorded instead of queued, until `end_recording`."""
        if self.recording is not None:
            raise RecordingError("Pipeline: a recording is running already; call the inner function directly instead of its pipeline")
        self._local.recording = Recording(self, Arena(self.pool))
        return self._local.recording  # type: ignore[no-any-return]

    def end_recording(self) -> None:
        """Ends this thread's recording."""
        self._local.recording = None

    def submit_recorded(self, items: list[tuple[Any, ...]]) -> None:
        """Submits recorded commands behind those that have collected."""
        self._submit(items)

    # ---- memory

    def _create_buffer(self, size: int) -> Any:
        return self.native.create_buffer(size, n.TENSOR_USAGE)

    def _make_room(self) -> None:
        """Frees transfer buffers when memory is short, those that are under way too, once the device is done with them."""
        # Without waiting for the lock: the thread that has it may itself be waiting for the pool, which calls this.
        if self._lock.acquire(blocking=False):
            try:
                self.synchronize()
            finally:
                self._lock.release()
        self.staging.trim()

    def _destroy(self, block: Block) -> None:
        for key in block.groups:
            self._groups.pop(key, None)
        block.groups.clear()
        block.buffer = None  # the last reference: the library frees it when the device is done with it

    @property
    def memory(self) -> MemoryStats:
        """Bytes and counts: in use, peak, pooled, staging, limit, allocations."""
        return self.pool.stats()

    def trim(self) -> None:
        """Gives every free buffer back to the driver."""
        self.flush()
        self.pool.trim()
        self.staging.trim()
        self.native.poll(wait=True)

    def _empty(self, shape: tuple[int, ...], dtype: DType, name: str, persistent: bool = False) -> Array:
        used = prod(shape) * dtype.itemsize
        nbytes = -(-used // 16) * 16  # whole vec4s, so that vector loads stay inside
        recording = None if persistent else self.recording
        owner = self.pool if recording is None else recording.arena
        block = owner.acquire(nbytes, lambda: f"{name or 'tensor'} {dtype} {shape}")
        return self.array_type(self, Storage(block, owner, max(nbytes, 16), used), shape, dtype, 0, name)

    def _clear(self, array: Array) -> None:
        if array.size:
            size = -(-array.nbytes // 4) * 4
            self._push((None, None, 0, array.storage.block.buffer, array.offset * array.dtype.itemsize, size), (array,))

    def _copy(self, source: Array, target: Array) -> None:
        if source.size:
            size = -(-source.nbytes // 4) * 4
            start = source.offset * source.dtype.itemsize
            end = target.offset * target.dtype.itemsize
            self._push((None, source.storage.block.buffer, start, target.storage.block.buffer, end, size), (source, target))

    def _poison(self, array: Array) -> None:
        raw = np.full(-(-array.nbytes // 4), 0xFFFFFFFF, np.uint32)  # NaN as f32, -1 as i32
        self._upload(array, raw.view(np.uint8))

    # ---- transfers

    def _from_host(self, host: np.ndarray, dtype: DType, name: str) -> Any:
        # What is uploaded while recording is a constant of the recording: never in its reused memory.
        array = self._empty(host.shape, dtype, name, persistent=True)
        if host.size:
            self._upload(array, to_storage(host, dtype).reshape(-1).view(np.uint8))
        return array

    def _write(self, target: Array, host: np.ndarray) -> None:
        if self.recording is not None:
            raise RecordingError(
                f"assign: host values for {target.describe()} inside a recording would be the same in every replay; "
                "pass them to the pipeline as an input"
            )
        if host.size:
            self._upload(target, to_storage(host, target.dtype).reshape(-1).view(np.uint8))

    def _upload(self, target: Array, raw: np.ndarray) -> None:
        if raw.size % 4:
            raw = np.concatenate([raw, np.zeros(-raw.size % 4, np.uint8)])
        with self._lock:
            block, start = target.storage.block, target.offset * target.dtype.itemsize
            if raw.size <= DIRECT and start == 0:
                if block.epoch == self._epoch and self._pending:
                    self.flush()  # queued work may still read what was here
                self.native.write_buffer(block.buffer, raw)
            else:
                block.epoch = self._epoch
                self.staging.upload(block.buffer, start, raw, self._pending.append)
                if raw.size > DIRECT * 64:
                    self.flush()

    def read(self, array: Array) -> Readback:
        """Starts copying an array to the host; RecordingError inside a recording."""
        if self.recording is not None:
            raise RecordingError(
                f"reading {array.describe()} inside a recording: a replay cannot run Python on the values; "
                "return the tensor from the pipeline and read it afterwards"
            )
        if array.size == 0:
            return Readback.resolved(np.zeros(array.shape, array.dtype.host))
        with self._lock:
            nbytes = -(-array.nbytes // 4) * 4
            buffer, size = self.staging.take_download(nbytes)
            start = array.offset * array.dtype.itemsize
            index = self._submit([(None, array.storage.block.buffer, start, buffer, 0, nbytes)])
            return self.staging.readback(buffer, size, array.nbytes, index, array.shape, array.dtype)

    # ---- measurement

    def profile(self) -> Profile:
        """A context that measures the GPU time of every kernel; needs the adapter's timestamps."""
        if not self.has_timestamps:
            raise NoAdapterError(f"profile: {self.name} has no timestamps; time whole steps with synchronize() instead")
        return Profile(self)

    def span(self) -> Span:
        """A context that measures the GPU time of all the work queued in it, as one; needs the adapter's timestamps."""
        if not self.has_timestamps:
            raise NoAdapterError(f"span: {self.name} has no timestamps; time whole steps with synchronize() instead")
        return Span(self)

    def _measure_subgroup(self) -> int:
        pipeline, layout = self.compiled.get(Shader("lib/probe_subgroup"), {})
        out = self._empty((1,), as_dtype("uint32"), "subgroup size")
        group = self.native.create_bind_group(layout, [(0, out.storage.block.buffer, 0, 16)])
        self._push((pipeline, group, None, 0, 1, 1, 1, None), (out,))
        return int(out.numpy()[0])
