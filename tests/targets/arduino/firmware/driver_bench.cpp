// SPDX-License-Identifier: BSD-3-Clause
//
// Every driver against a test double of its bus: registers that hold what is written, and what the test puts there.
// Lines on standard input, answers on standard output:
//
//	driver NAME		which one
//	device ADDRESS		the double is there
//	set REGISTER VALUE	of bank 0
//	get REGISTER BANK	prints it
//	stuck REGISTER 0|1	writes to it have no effect
//	load 0|1		result of the BMI270's library
//	poll TIME_US		prints a sample, "none", and whether it runs, starts and errors
//	rotate NUMBER X Y Z	prints the vector turned by a MAV_SENSOR_ORIENTATION

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <initializer_list>

#include "drivers/Bmi270.hpp"
#include "drivers/Bmp280.hpp"
#include "drivers/Icm20948.hpp"
#include "drivers/Lps22hb.hpp"
#include "drivers/Lsm9ds1.hpp"
#include "drivers/Mpu6050.hpp"
#include "node/Rotation.hpp"

namespace
{

class TestBus final : public node::I2cBus
{
public:
	bool read(uint8_t address, uint8_t first, uint8_t *data, size_t size) override
	{
		if (address == device) {
			memcpy(data, &registers[bank][first], size);
		}

		return address == device;
	}

	bool write(uint8_t address, uint8_t to, uint8_t value) override
	{
		if (address != device) {
			return false;
		}

		if (banked && to == 0x7f) {
			bank = value >> 4;

		} else if (!stuck[to]) {
			registers[bank][to] = value;
		}

		return true;
	}

	uint8_t registers[4][256] {};
	bool stuck[256] {};
	uint8_t device{0};
	uint8_t bank{0};
	bool banked{false};
};

TestBus bus;
bool loads = true;
bool load() { return loads; }

node::Lsm9ds1 lsm9ds1(bus);
node::Bmi270 bmi270(bus, load);
node::Mpu6050 mpu6050(bus);
node::Icm20948 icm20948(bus);
node::Lps22hb lps22hb(bus);
node::Bmp280 bmp280(bus);

node::ImuDriver *const imus[] = {&lsm9ds1, &bmi270, &mpu6050, &icm20948};
node::BaroDriver *const baros[] = {&lps22hb, &bmp280};
node::ImuDriver *imu = nullptr;
node::BaroDriver *baro = nullptr;

void choose(const char *name)
{
	for (node::ImuDriver *driver : imus) {
		imu = strcmp(driver->name(), name) == 0 ? driver : imu;
	}

	for (node::BaroDriver *driver : baros) {
		baro = strcmp(driver->name(), name) == 0 ? driver : baro;
	}

	bus.banked = imu == &icm20948;
}

void print(bool found, uint64_t time_us, std::initializer_list<float> values, const node::Sensor &sensor)
{
	if (found) {
		printf("sample %" PRIu64, time_us);

		for (float value : values) {
			printf(" %.9g", double(value));
		}

	} else {
		printf("none");
	}

	printf(" %d %u %u\n", sensor.running(), sensor.starts(), sensor.errors());
}

void poll(uint64_t now_us)
{
	if (imu) {
		node::ImuSample s{};
		const bool found = imu->poll(now_us, s);
		const float *const a = s.accel_m_s2, *const g = s.gyro_rad_s;
		print(found, s.time_us, {a[0], a[1], a[2], g[0], g[1], g[2]}, *imu);

	} else {
		node::BaroSample s{};
		const bool found = baro->poll(now_us, s);
		print(found, s.time_us, {s.pressure_pa, s.temperature_c, s.altitude_m}, *baro);
	}
}

} // namespace

int main()
{
	char line[200];

	while (fgets(line, sizeof(line), stdin)) {
		char word[20] {};
		char name[40] {};
		unsigned a = 0, b = 0;
		uint64_t time_us = 0;
		float v[3];
		sscanf(line, "%19s %39s %u", word, name, &b);
		a = static_cast<unsigned>(strtoul(name, nullptr, 0));

		if (!strcmp(word, "driver")) {
			choose(name);

		} else if (!strcmp(word, "device")) {
			bus.device = static_cast<uint8_t>(a);

		} else if (!strcmp(word, "set")) {
			bus.registers[0][a] = static_cast<uint8_t>(b);

		} else if (!strcmp(word, "get")) {
			printf("%u\n", bus.registers[b][a]);

		} else if (!strcmp(word, "stuck")) {
			bus.stuck[a] = b != 0;

		} else if (!strcmp(word, "load")) {
			loads = a != 0;

		} else if (!strcmp(word, "poll") && sscanf(line, "%*s %" SCNu64, &time_us) == 1) {
			poll(time_us);

		} else if (sscanf(line, "rotate %u %f %f %f", &a, v, v + 1, v + 2) == 4) {
			node::Rotation rotation;
			rotation.set(a);
			float turned[3];
			rotation.apply(v, turned);
			printf("%.9g %.9g %.9g\n", double(turned[0]), double(turned[1]), double(turned[2]));

		} else {
			return 2;
		}

		fflush(stdout);
	}

	return 0;
}
