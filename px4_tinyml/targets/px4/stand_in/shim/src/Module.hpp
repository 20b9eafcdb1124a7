// SPDX-License-Identifier: BSD-3-Clause
//
// PX4's ModuleBase as it is from v1.18 on: no template, each module has a static Descriptor.

#pragma once

#include <string.h>

#include <px4_platform_common/log.h>
#include <px4_platform_common/module_usage.h>
#include <px4_platform_common/posix.h>

namespace px4_host
{

class Module
{
public:
	struct Descriptor {
		/// As px4::atomic, of which only these two are used here.
		struct Pointer {
			Module *value;
			Module *load() const { return value; }
			void store(Module *module) { value = module; }
		};

		using Command = int (*)(int argc, char *argv[]);
		using Usage = int (*)(const char *reason);

		Descriptor(Command spawn, Command custom, Usage usage)
			: task_spawn(spawn), custom_command(custom), print_usage(usage) {}

		Command task_spawn;
		Command custom_command;
		Usage print_usage;
		Pointer object{nullptr};
		int task_id{-1};
	};

	Module() = default;
	virtual ~Module() = default;

	static int main(Descriptor &desc, int argc, char *argv[])
	{
		if (argc <= 1 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "-h") == 0) {
			return desc.print_usage(nullptr);
		}

		if (strcmp(argv[1], "start") == 0) {
			return start_command(desc, argc - 1, argv + 1);
		}

		if (strcmp(argv[1], "status") == 0) {
			return status_command(desc);
		}

		if (strcmp(argv[1], "stop") == 0) {
			return stop_command(desc);
		}

		return desc.custom_command(argc - 1, argv + 1);
	}

	/// Called by the module in its own thread, as its last act: deletes the object.
	static void exit_and_cleanup(Descriptor &desc)
	{
		delete desc.object.load();
		desc.object.store(nullptr);
		desc.task_id = -1;
	}

	virtual int print_status() = 0;
	bool should_exit() const { return _task_should_exit; }

	static constexpr int task_id_is_work_queue = -2;

private:
	static int start_command(Descriptor &desc, int argc, char *argv[])
	{
		if (desc.task_id != -1) {
			PX4_ERR("Task already running");
			return -1;
		}

		const int result = desc.task_spawn(argc, argv);

		if (result < 0) {
			PX4_ERR("Task start failed (%i)", result);
		}

		return result;
	}

	static int status_command(Descriptor &desc)
	{
		if (desc.object.load()) {
			return desc.object.load()->print_status();
		}

		PX4_INFO("not running");
		return -1;
	}

	static int stop_command(Descriptor &desc)
	{
		if (!desc.object.load()) {
			return 0;
		}

		desc.object.load()->_task_should_exit = true;

		for (int i = 0; i < 500; ++i) { // at most five seconds
			px4_usleep(10000);

			if (desc.task_id == -1) {
				return 0;
			}
		}

		PX4_ERR("timeout, forcing stop");
		exit_and_cleanup(desc);
		return -1;
	}

	bool _task_should_exit{false};
};

} // namespace px4_host
