// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's ModuleBase as it is from v1.18 on: no template, each module has a static Descriptor.

#pragma once

#include <string.h>

#include <px4_platform_common/log.h>
#include <px4_platform_common/module_usage.h>
#include <px4_platform_common/posix.h>

class ModuleBase
{
public:
	struct Descriptor {
		/// As px4::atomic, of which only these two are used here.
		struct Pointer {
			ModuleBase *value;
			ModuleBase *load() const { return value; }
			void store(ModuleBase *module) { value = module; }
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

	ModuleBase() = default;
	virtual ~ModuleBase() = default;

	static int main(Descriptor &desc, int argc, char *argv[]);
	static int start_command(Descriptor &desc, int argc, char *argv[]);
	static int stop_command(Descriptor &desc);
	static int status_command(Descriptor &desc);

	/// Called by the module in its own thread, as its last act: deletes the object.
	static void exit_and_cleanup(Descriptor &desc);

	static bool is_running(const Descriptor &desc) { return desc.task_id != -1; }

	virtual int print_status();
	virtual void request_stop() { _task_should_exit = true; }
	bool should_exit() const { return _task_should_exit; }

	template <typename T>
	static T *get_instance(Descriptor &desc) { return static_cast<T *>(desc.object.load()); }

	static constexpr int task_id_is_work_queue = -2;

private:
	bool _task_should_exit{false};
};
