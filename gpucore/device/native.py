"""The few wgpu-native calls that gpucore makes, straight on the library that wgpu-py ships.

wgpu-py opens the library and finds adapters; from there on the raw functions are called, for two reasons: wgpu-py
cannot ask for modules without forced loop bounding, and its checks cost more than a dispatch.
Errors that the library reports during a call are raised as exceptions of gpucore when that call returns.
Every handle is owned by its Python object (ffi.gc) and released with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from wgpu.backends.wgpu_native._ffi import ffi, lib

from ..errors import DeviceLostError, GpucoreError, OutOfVramError, ShaderError
from .opening import Checked, Opened

STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ, MAP_WRITE, QUERY_RESOLVE = 0x80, 0x40, 0x4, 0x8, 0x1, 0x2, 0x200
TENSOR_USAGE = STORAGE | COPY_SRC | COPY_DST
WHOLE_SIZE = 0xFFFFFFFFFFFFFFFF
_NO_QUERY = 0xFFFFFFFF
_BOUNDS_CHECKS = 1
_TYPES = {
    "read": "WGPUBufferBindingType_ReadOnlyStorage",
    "read_write": "WGPUBufferBindingType_Storage",
    "uniform": "WGPUBufferBindingType_Uniform",
}

_pending_maps: dict[int, Any] = {}


@ffi.callback("void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)")  # type: ignore[untyped-decorator]
def _mapped(status: int, message: Any, key: Any, _unused: Any) -> None:
    """Resolves the map request whose number came as user data; runs inside a poll."""
    done = _pending_maps.pop(int(ffi.cast("uintptr_t", key)), None)
    if done is not None:
        text = ffi.string(message.data, message.length).decode(errors="replace") if message.data else ""
        done(None if status == lib.WGPUMapAsyncStatus_Success else text or f"status {status}")


def trusted_modules_available() -> bool:
    """True when the library can create modules with bounds checks and without forced loop bounding."""
    return hasattr(lib, "wgpuDeviceCreateShaderModuleTrusted")


class Native:
    """One opened wgpu device: creation of objects, submission of commands, mapping of buffers."""

    def __init__(self, opened: Opened) -> None:
        self._device, self._queue, self._outcome = opened
        self.trusted = trusted_modules_available()
        self.timestamp_period = lib.wgpuQueueGetTimestampPeriod(self._queue)
        self._next_map = 1
        self.idle = True
        """True when nothing is under way as far as the host has seen: the device waits for work."""
        self._pass_descriptor = ffi.new("WGPUComputePassDescriptor *")
        self._encoder_descriptor = ffi.new("WGPUCommandEncoderDescriptor *")
        self._finish_descriptor = ffi.new("WGPUCommandBufferDescriptor *")

    @property
    def lost(self) -> str | None:
        """Why the device is lost; None while it lives."""
        return self._outcome.lost

    def checked(self, doing: str) -> Checked:
        """Raises what the library reports inside the block, as the gpucore error that fits."""
        return Checked(self._outcome, doing)

    # ---- objects

    def create_buffer(self, size: int, usage: int, *, mapped: bool = False) -> Any:
        """A buffer of `size` bytes."""
        descriptor = ffi.new("WGPUBufferDescriptor *", {"size": size, "usage": usage, "mappedAtCreation": mapped})
        with self.checked(f"creating a buffer of {size} bytes"):
            return ffi.gc(lib.wgpuDeviceCreateBuffer(self._device, descriptor), lib.wgpuBufferRelease)

    def create_module(self, code: str, file: str) -> Any:
        """A shader module from WGSL; ShaderError with file, line and text when it does not compile."""
        raw = code.encode()
        text = ffi.new("char[]", raw)
        source = ffi.new("WGPUShaderSourceWGSL *")
        source.chain.sType = lib.WGPUSType_ShaderSourceWGSL
        source.code.data, source.code.length = text, len(raw)
        descriptor = ffi.new("WGPUShaderModuleDescriptor *", {"nextInChain": ffi.cast("WGPUChainedStruct *", source)})
        try:
            with self.checked(f"compiling {file}"):
                if self.trusted:
                    module = lib.wgpuDeviceCreateShaderModuleTrusted(self._device, descriptor, _BOUNDS_CHECKS)
                else:
                    module = lib.wgpuDeviceCreateShaderModule(self._device, descriptor)
                module = ffi.gc(module, lib.wgpuShaderModuleRelease)
        except (DeviceLostError, OutOfVramError):
            raise
        except GpucoreError as error:
            raise shader_error(str(error), code, file) from None
        return module

    def create_pipeline(
        self, module: Any, entries: Sequence[tuple[int, str]], constants: dict[str, float], immediate_size: int, file: str
    ) -> tuple[Any, Any]:
        """(pipeline, bind group layout) for a module whose bindings are (slot, access)."""
        c_entries = ffi.new("WGPUBindGroupLayoutEntry[]", max(1, len(entries)))
        for c, (slot, access) in zip(c_entries, entries, strict=False):
            c.binding, c.visibility = slot, 0x4
            c.buffer.type = getattr(lib, _TYPES[access])
        layout_descriptor = ffi.new("WGPUBindGroupLayoutDescriptor *", {"entryCount": len(entries), "entries": c_entries})
        keys = [ffi.new("char[]", k.encode()) for k in constants]
        c_constants = ffi.new("WGPUConstantEntry[]", max(1, len(constants)))
        for c, text, (name, value) in zip(c_constants, keys, constants.items(), strict=False):
            c.key.data, c.key.length, c.value = text, len(name), float(value)
        with self.checked(f"building the pipeline of {file}"):
            layout = ffi.gc(lib.wgpuDeviceCreateBindGroupLayout(self._device, layout_descriptor), lib.wgpuBindGroupLayoutRelease)
            layouts = ffi.new("WGPUBindGroupLayout[]", [layout])
            whole = ffi.new(
                "WGPUPipelineLayoutDescriptor *",
                {"bindGroupLayoutCount": 1, "bindGroupLayouts": layouts, "immediateSize": immediate_size},
            )
            pipeline_layout = ffi.gc(lib.wgpuDeviceCreatePipelineLayout(self._device, whole), lib.wgpuPipelineLayoutRelease)
            main = ffi.new("char[]", b"main")
            descriptor = ffi.new("WGPUComputePipelineDescriptor *", {"layout": pipeline_layout})
            stage = descriptor.compute
            stage.module, stage.constantCount, stage.constants = module, len(constants), c_constants
            stage.entryPoint.data, stage.entryPoint.length = main, 4
            pipeline = ffi.gc(lib.wgpuDeviceCreateComputePipeline(self._device, descriptor), lib.wgpuComputePipelineRelease)
        return pipeline, layout

    def create_bind_group(self, layout: Any, entries: Sequence[tuple[int, Any, int, int]]) -> Any:
        """A bind group of (slot, buffer, offset, size)."""
        c_entries = ffi.new("WGPUBindGroupEntry[]", max(1, len(entries)))
        for c, (slot, buffer, offset, size) in zip(c_entries, entries, strict=False):
            c.binding, c.buffer, c.offset, c.size = slot, buffer, offset, size
        descriptor = ffi.new("WGPUBindGroupDescriptor *", {"layout": layout, "entryCount": len(entries), "entries": c_entries})
        with self.checked("binding buffers"):
            return ffi.gc(lib.wgpuDeviceCreateBindGroup(self._device, descriptor), lib.wgpuBindGroupRelease)

    def create_query_set(self, count: int) -> Any:
        """A set of `count` timestamps."""
        descriptor = ffi.new("WGPUQuerySetDescriptor *", {"type": lib.WGPUQueryType_Timestamp, "count": count})
        with self.checked("creating timestamps"):
            return ffi.gc(lib.wgpuDeviceCreateQuerySet(self._device, descriptor), lib.wgpuQuerySetRelease)

    def write_buffer(self, buffer: Any, data: np.ndarray) -> None:
        """Copies host bytes into a buffer before the next submission; the length must be a multiple of 4."""
        with self.checked("writing a buffer"):
            lib.wgpuQueueWriteBuffer(self._queue, buffer, 0, ffi.cast("void *", data.ctypes.data), data.nbytes)

    # ---- commands

    def submit(self, items: Iterable[tuple[Any, ...]], queries: Any = None, resolve: Any = None, *, whole: bool = False) -> int:
        """Encodes commands in order and submits them; returns the submission's index.

        A dispatch is (pipeline, group, immediates, size, x, y, z, launch); a copy (None, source, offset, target,
        offset, size); a clear the same with source None. With `queries`, each dispatch gets a pass of its own with
        two timestamps, resolved into the buffer `resolve`; `whole` takes two before and two after all of them instead.
        """
        with self.checked("encoding work"):  # apart from the submission: the library aborts on commands with errors
            encoder = lib.wgpuDeviceCreateCommandEncoder(self._device, self._encoder_descriptor)
            if queries is None:
                self._encode(encoder, items)
            elif whole:
                self._mark(encoder, queries, 0)
                self._encode(encoder, items)
                self._mark(encoder, queries, 2)
                lib.wgpuCommandEncoderResolveQuerySet(encoder, queries, 0, 4, resolve, 0)
            else:
                self._encode_timed(encoder, items, queries, resolve)
            commands = lib.wgpuCommandEncoderFinish(encoder, self._finish_descriptor)
            lib.wgpuCommandEncoderRelease(encoder)
        self.idle = False
        with self.checked("submitting work"):
            index: int = lib.wgpuQueueSubmitForIndex(self._queue, 1, ffi.new("WGPUCommandBuffer[]", [commands]))
            lib.wgpuCommandBufferRelease(commands)
        return index

    def _encode(self, encoder: Any, items: Iterable[tuple[Any, ...]]) -> None:
        set_pipeline, set_group = lib.wgpuComputePassEncoderSetPipeline, lib.wgpuComputePassEncoderSetBindGroup
        set_immediates, dispatch = lib.wgpuComputePassEncoderSetImmediates, lib.wgpuComputePassEncoderDispatchWorkgroups
        null, open_pass, last, last_immediates = ffi.NULL, None, None, None
        for item in items:
            pipeline = item[0]
            if pipeline is None:
                if open_pass is not None:
                    self._end(open_pass)
                    open_pass = last = last_immediates = None
                self._transfer(encoder, item)
                continue
            _, group, immediates, size, x, y, z, _ = item
            if open_pass is None:
                open_pass = lib.wgpuCommandEncoderBeginComputePass(encoder, self._pass_descriptor)
            if pipeline is not last:
                set_pipeline(open_pass, pipeline)
                last, last_immediates = pipeline, None
            set_group(open_pass, 0, group, 0, null)
            if size and immediates is not last_immediates:
                set_immediates(open_pass, 0, immediates, size)
                last_immediates = immediates
            dispatch(open_pass, x, y, z)
        if open_pass is not None:
            self._end(open_pass)

    def _encode_timed(self, encoder: Any, items: Iterable[tuple[Any, ...]], queries: Any, resolve: Any) -> None:
        writes = ffi.new("WGPUPassTimestampWrites *", {"querySet": queries})
        descriptor = ffi.new("WGPUComputePassDescriptor *", {"timestampWrites": writes})
        count = 0
        for item in items:
            if item[0] is None:
                self._transfer(encoder, item)
                continue
            pipeline, group, immediates, size, x, y, z, _ = item
            writes.beginningOfPassWriteIndex, writes.endOfPassWriteIndex = count, count + 1
            count += 2
            timed = lib.wgpuCommandEncoderBeginComputePass(encoder, descriptor)
            lib.wgpuComputePassEncoderSetPipeline(timed, pipeline)
            lib.wgpuComputePassEncoderSetBindGroup(timed, 0, group, 0, ffi.NULL)
            if size:
                lib.wgpuComputePassEncoderSetImmediates(timed, 0, immediates, size)
            lib.wgpuComputePassEncoderDispatchWorkgroups(timed, x, y, z)
            self._end(timed)
        if count:
            lib.wgpuCommandEncoderResolveQuerySet(encoder, queries, 0, count, resolve, 0)

    def _mark(self, encoder: Any, queries: Any, index: int) -> None:
        """Two timestamps, by a pass without work."""
        writes = ffi.new("WGPUPassTimestampWrites *", {"querySet": queries})
        writes.beginningOfPassWriteIndex, writes.endOfPassWriteIndex = index, index + 1
        self._end(lib.wgpuCommandEncoderBeginComputePass(encoder, ffi.new("WGPUComputePassDescriptor *", {"timestampWrites": writes})))

    @staticmethod
    def _end(open_pass: Any) -> None:
        lib.wgpuComputePassEncoderEnd(open_pass)
        lib.wgpuComputePassEncoderRelease(open_pass)

    @staticmethod
    def _transfer(encoder: Any, item: tuple[Any, ...]) -> None:
        _, source, source_offset, target, target_offset, size = item
        if source is None:
            lib.wgpuCommandEncoderClearBuffer(encoder, target, target_offset, size)
        else:
            lib.wgpuCommandEncoderCopyBufferToBuffer(encoder, source, source_offset, target, target_offset, size)

    def poll(self, index: int | None = None, *, wait: bool = False) -> bool:
        """Runs finished callbacks; waits for the submission `index` (for all without one). True if nothing is left."""
        if self.lost:
            return True
        which = ffi.NULL if index is None else ffi.new("WGPUSubmissionIndex *", index)
        with self.checked("waiting for the device"):
            self.idle = bool(lib.wgpuDevicePoll(self._device, wait, which))
        return self.idle

    def destroy(self) -> None:
        """Destroys the device; every later call raises DeviceLostError."""
        lib.wgpuDeviceDestroy(self._device)

    # ---- mapping

    def map_buffer(self, buffer: Any, mode: int, size: int, done: Any) -> None:
        """Asks for a buffer to be mapped; `done(error or None)` is called by a later poll."""
        key, self._next_map = self._next_map, self._next_map + 1
        _pending_maps[key] = done
        info = ffi.new("WGPUBufferMapCallbackInfo *")
        info.mode, info.callback, info.userdata1 = lib.WGPUCallbackMode_AllowProcessEvents, _mapped, ffi.cast("void *", key)
        try:
            with self.checked("mapping a buffer"):
                lib.wgpuBufferMapAsync(buffer, mode, 0, size, info[0])
        except GpucoreError:
            _pending_maps.pop(key, None)
            raise

    def mapped_array(self, buffer: Any, size: int, *, write: bool) -> np.ndarray:
        """The bytes of a mapped buffer as an array that is valid until `unmap`."""
        get = lib.wgpuBufferGetMappedRange if write else lib.wgpuBufferGetConstMappedRange
        address = get(buffer, 0, size)
        if address == ffi.NULL:
            raise DeviceLostError("reading a mapped buffer: the library gave no memory; the device is lost or the buffer is not mapped")
        return np.frombuffer(ffi.buffer(address, size), np.uint8)

    @staticmethod
    def unmap(buffer: Any) -> None:
        """Gives a mapped buffer back to the device."""
        lib.wgpuBufferUnmap(buffer)

    @staticmethod
    def immediates(data: bytes) -> Any:
        """A C block that holds the bytes of a launch's parameters."""
        return ffi.new("uint8_t[]", data)


def shader_error(message: str, code: str, file: str) -> ShaderError:
    """A ShaderError with the file, the line and its text, from the compiler's message."""
    reason = re.search(r"parsing error: (.*?) ┌─", message) or re.search(r".*error: (.*?) ┌─", message)
    what = reason[1] if reason else re.sub(r".*Caused by: ", "", message)
    at = re.search(r"wgsl:(\d+):(\d+)", message)
    line = int(at[1]) if at else 0
    lines = code.split("\n")
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    where = f"{file}:{line}" if line else file
    return ShaderError(f"{where}: {what.strip()}" + (f", in «{text}»" if text else ""), file, line, text)
