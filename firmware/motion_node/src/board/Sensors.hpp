// SPDX-License-Identifier: BSD-3-Clause
//
// The sensors of a board. NODE_BOARD_CUSTOM: a file CustomSensors.hpp beside this one defines a class Sensors like the
// ones here.

#pragma once

#include "../BoardConfig.hpp"

#if defined(NODE_BOARD_CUSTOM)
#include "CustomSensors.hpp"
#else

#include "../drivers/BaroDriver.hpp"
#include "../drivers/ImuDriver.hpp"
#include "WireBus.hpp"

#if defined(NODE_BOARD_NANO33BLE_REV1)
#include "../drivers/Lps22hb.hpp"
#include "../drivers/Lsm9ds1.hpp"
#elif defined(NODE_BOARD_NANO33BLE_REV2)
#include <Arduino_BMI270_BMM150.h>

#include "../drivers/Bmi270.hpp"
#include "../drivers/Lps22hb.hpp"
#elif defined(NODE_BOARD_GENERIC)
#include "../drivers/Bmp280.hpp"
#include "../drivers/Icm20948.hpp"
#include "../drivers/Mpu6050.hpp"
#else
#error "BoardConfig.hpp names no board: px4-tinyml generate arduino writes it"
#endif

namespace node
{

/// Of several drivers the one whose sensor is there; all are tried until one runs.
template <class Driver, class Sample, size_t Count>
bool poll_first(Driver *const(&drivers)[Count], uint64_t now_us, Sample &sample)
{
	for (Driver *driver : drivers) {
		if (driver->running()) {
			return driver->poll(now_us, sample);
		}
	}

	for (Driver *driver : drivers) {
		driver->poll(now_us, sample);

		if (driver->running()) {
			break;
		}
	}

	return false;
}

#if defined(NODE_BOARD_GENERIC)

class Sensors
{
public:
	void begin() { _bus.begin(); }
	bool poll(uint64_t now_us, ImuSample &sample) { return poll_first(_imus, now_us, sample); }
	bool poll(uint64_t now_us, BaroSample &sample) { return poll_first(_baros, now_us, sample); }

private:
	WireBus _bus{Wire};
	Mpu6050 _mpu6050{_bus};
	Icm20948 _icm20948{_bus};
	Icm20948 _icm20948_other{_bus, Icm20948::ADDRESS + 1};
	Bmp280 _bmp280{_bus};
	Bmp280 _bmp280_other{_bus, Bmp280::ADDRESS + 1};
	ImuDriver *const _imus[3] = {&_mpu6050, &_icm20948, &_icm20948_other};
	BaroDriver *const _baros[2] = {&_bmp280, &_bmp280_other};
};

#else

class Sensors
{
public:
	void begin() { _bus.begin(); }
	bool poll(uint64_t now_us, ImuSample &sample) { return _imu.poll(now_us, sample); }
	bool poll(uint64_t now_us, BaroSample &sample) { return _baro.poll(now_us, sample); }

private:
	WireBus _bus{Wire1}; // the sensors are on the board's second bus
#if defined(NODE_BOARD_NANO33BLE_REV1)
	Lsm9ds1 _imu{_bus};
#else
	/// The library's begin() restarts the bus at 100 kHz: its 8 KB take a second.
	static bool load()
	{
		const bool loaded = IMU_BMI270_BMM150.begin(BOSCH_ACCELEROMETER_ONLY) != 0;
		Wire1.setClock(WireBus::CLOCK_HZ);
		return loaded;
	}

	Bmi270 _imu{_bus, load};
#endif
	Lps22hb _baro{_bus};
};

#endif

} // namespace node

#endif // NODE_BOARD_CUSTOM
