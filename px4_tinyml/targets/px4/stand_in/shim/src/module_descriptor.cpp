// SPDX-License-Identifier: BSD-3-Clause
//
// PX4 v1.18 has one copy of these for all modules, in its own library. Not compiled for the older form.

#include <px4_platform_common/module.h>

constexpr int ModuleBase::task_id_is_work_queue;

int ModuleBase::print_status()
{
	px4_log_raw(_PX4_LOG_LEVEL_INFO, "running\n");
	return 0;
}

int ModuleBase::main(Descriptor &desc, int argc, char *argv[])
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

int ModuleBase::start_command(Descriptor &desc, int argc, char *argv[])
{
	if (is_running(desc)) {
		px4_log_modulename(_PX4_LOG_LEVEL_ERROR, "module", "Task already running");
		return -1;
	}

	const int result = desc.task_spawn(argc, argv);

	if (result < 0) {
		px4_log_modulename(_PX4_LOG_LEVEL_ERROR, "module", "Task start failed (%i)", result);
	}

	return result;
}

int ModuleBase::status_command(Descriptor &desc)
{
	if (is_running(desc) && desc.object.load()) {
		return desc.object.load()->print_status();
	}

	px4_log_modulename(_PX4_LOG_LEVEL_INFO, "module", "not running");
	return -1;
}

int ModuleBase::stop_command(Descriptor &desc)
{
	if (!is_running(desc)) {
		return 0;
	}

	if (!desc.object.load()) {
		desc.task_id = -1;
		return 0;
	}

	desc.object.load()->request_stop();

	for (int i = 0; i < 500; ++i) { // at most five seconds
		px4_usleep(10000);

		if (desc.task_id == -1) {
			return 0;
		}
	}

	px4_log_modulename(_PX4_LOG_LEVEL_ERROR, "module", "timeout, forcing stop");
	exit_and_cleanup(desc);
	return -1;
}

void ModuleBase::exit_and_cleanup(Descriptor &desc)
{
	delete desc.object.load();
	desc.object.store(nullptr);
	desc.task_id = -1;
}
