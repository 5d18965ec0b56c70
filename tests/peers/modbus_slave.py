"""A slave of pymodbus with values that pymodbus itself encoded. Prints a line when it serves; ends with its stdin."""

import asyncio
import sys

from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

KIND = ModbusClientMixin.DATATYPE
ENCODE = ModbusClientMixin.convert_to_registers

# Where, what, encoded how.
HELD = [
    (0, ENCODE(17.4, KIND.FLOAT32, word_order="big")),
    (2, ENCODE(29.1, KIND.FLOAT32, word_order="little")),
    (10, ENCODE(-35, KIND.INT16)),
    (11, ENCODE(1740, KIND.UINT16)),
    (20, ENCODE(-123456, KIND.INT32, word_order="little")),
    (22, ENCODE(3456789, KIND.UINT32, word_order="big")),
    (24, ENCODE(7.25, KIND.FLOAT64, word_order="big")),
    (30, ENCODE(float("nan"), KIND.FLOAT32)),
    (32, [0b10]),
    (40, [0x7FFF]),
]


def device(unit):
    blocks = [SimData(at, values=words, datatype=DataType.REGISTERS) for at, words in HELD]
    return SimDevice(id=unit, simdata=blocks)


async def main(how, where, units):
    devices = [device(int(unit)) for unit in units.split(",")]
    if how == "serial":
        # A serial line has others beside us on it: 3 is one of them, and dead.
        deaf = lambda sending, frame: b"" if sending and frame[:1] == b"\x03" else frame
        server = ModbusSerialServer(devices, framer=FramerType.RTU, port=where, baudrate=9600, parity="N", stopbits=1, trace_packet=deaf)
    else:
        framer = FramerType.RTU if how == "rtu+tcp" else FramerType.SOCKET
        server = ModbusTcpServer(devices, framer=framer, address=("127.0.0.1", int(where)))
    await server.serve_forever(background=True)
    print('{"ready": true}', flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.shutdown()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
