// SPDX-License-Identifier: BSD-3-Clause
//
// What the stand-in's uORB, work queue and parameters must do, as PX4's do. Prints what is not so.

#include "Host.hpp"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lib/perf/perf_counter.h>
#include <px4_platform_common/module_params.h>
#include <px4_platform_common/posix.h>
#include <px4_platform_common/px4_work_queue/ScheduledWorkItem.hpp>
#include <systemlib/mavlink_log.h>
#include <uORB/Publication.hpp>
#include <uORB/SubscriptionCallback.hpp>
#include <uORB/topics/debug_vect.h>
#include <uORB/topics/mavlink_log.h>
#include <uORB/topics/sensor_combined.h>
#include <uORB/topics/vehicle_air_data.h>

using namespace time_literals;

static int failures;
static char printed[200];

#define EXPECT(condition) \
	do { if (!(condition)) { printf("%d: %s\n", __LINE__, #condition); ++failures; } } while (false)

static_assert(1_s == 1000_ms && 3_ms == 3000_us, "time literals");

// The rest of the harness, which is not linked here.
namespace px4_host
{
void published(const orb_metadata *, const void *) {}
void print(const char *text) { snprintf(printed, sizeof(printed), "%s", text); }
void work_done(uint64_t) {}
} // namespace px4_host

class Item : public px4::ScheduledWorkItem
{
public:
	Item() : ScheduledWorkItem("item", px4::wq_configurations::lp_default) {}

	void Run() override
	{
		++runs;
		last_run_us = hrt_absolute_time();

		if (again > 0) {
			--again;
			ScheduleNow();
		}
	}

	int runs{0};
	int again{0};
	uint64_t last_run_us{0};
};

static sensor_combined_s sample(uint64_t time_us)
{
	sensor_combined_s message{};
	message.timestamp = time_us;
	return message;
}

static void topics_of_one_message()
{
	uORB::Subscription early{ORB_ID(sensor_combined)};
	sensor_combined_s got{};
	EXPECT(!early.valid() && !early.updated() && !early.update(&got) && !early.copy(&got));

	uORB::Publication<sensor_combined_s> publication{ORB_ID(sensor_combined)};
	publication.advertise();
	EXPECT(early.advertised() && !early.updated() && !early.copy(&got));

	publication.publish(sample(1));
	EXPECT(early.updated() && early.update(&got) && got.timestamp == 1 && early.get_last_generation() == 1);
	EXPECT(!early.updated() && !early.update(&got) && early.copy(&got) && got.timestamp == 1);

	// Three are published, the last is kept: the generation counts the lost ones.
	publication.publish(sample(2));
	publication.publish(sample(3));
	publication.publish(sample(4));
	EXPECT(early.update(&got) && got.timestamp == 4 && early.get_last_generation() == 4 && !early.updated());

	// A late subscriber still gets the last one.
	uORB::Subscription late{ORB_ID(sensor_combined)};
	EXPECT(late.get_last_generation() == 3 && late.update(&got) && got.timestamp == 4 && !late.updated());
}

static void publishers_that_go()
{
	uORB::Subscription subscription{ORB_ID(sensor_combined)};
	sensor_combined_s got{};
	EXPECT(!subscription.advertised()); // the one above is gone

	{
		uORB::Publication<sensor_combined_s> publication{ORB_ID(sensor_combined)};
		publication.publish(sample(5));
		EXPECT(subscription.advertised() && subscription.updated());
	}

	EXPECT(!subscription.advertised() && !subscription.updated() && !subscription.copy(&got));
	uORB::Publication<sensor_combined_s> again{ORB_ID(sensor_combined)};
	again.advertise();
	EXPECT(subscription.copy(&got) && got.timestamp == 5); // what was published before is there again
	again.unadvertise();
	again.publish(sample(6));
	EXPECT(!subscription.updated());
}

static void topics_with_a_queue()
{
	static_assert(mavlink_log_s::ORB_QUEUE_LENGTH == 8, "as in PX4");
	orb_advert_t advert = nullptr;
	mavlink_log_info(&advert, "text %d", 1);
	uORB::Subscription subscription{ORB_ID(mavlink_log)};
	mavlink_log_s got{};
	EXPECT(subscription.update(&got) && strcmp(got.text, "text 1") == 0 && got.severity == 6);

	for (int i = 2; i <= 5; ++i) {
		mavlink_vasprintf(_MSG_PRIO_WARNING, &advert, "text %d", i);
	}

	for (int i = 2; i <= 5; ++i) {
		EXPECT(subscription.update(&got) && got.text[5] == '0' + i && subscription.get_last_generation() == unsigned(i));
	}

	EXPECT(!subscription.update(&got) && subscription.copy(&got) && got.text[5] == '5' && got.severity == 4);
	EXPECT(subscription.get_last_generation() == 5);

	for (int i = 0; i < 20; ++i) { // twelve are overwritten
		mavlink_vasprintf(_MSG_PRIO_WARNING, &advert, "%d", i);
	}

	for (int i = 12; i < 20; ++i) {
		EXPECT(subscription.update(&got) && atoi(got.text) == i);
	}

	EXPECT(!subscription.updated());
	mavlink_vasprintf(_MSG_PRIO_INFO, &advert, "%200d", 1);
	EXPECT(subscription.update(&got) && strlen(got.text) == 126);

	// It stays advertised when its publisher goes.
	uORB::Publication<mavlink_log_s>(ORB_ID(mavlink_log)).advertise();
	EXPECT(subscription.advertised());
}

static void subscriptions_with_an_interval()
{
	px4_host::set_clock(10_s);
	uORB::Publication<debug_vect_s> publication{ORB_ID(debug_vect)};
	uORB::SubscriptionInterval subscription{ORB_ID(debug_vect), 1000000};
	debug_vect_s message{};
	EXPECT(!subscription.updated());
	publication.publish(message);
	EXPECT(subscription.update(&message));
	publication.publish(message);
	EXPECT(subscription.update(&message)); // after a long silence two at once, as in PX4
	publication.publish(message);
	EXPECT(!subscription.updated());
	px4_host::set_clock(10_s + 999_ms);
	EXPECT(!subscription.updated());
	px4_host::set_clock(11_s);
	EXPECT(subscription.updated() && subscription.update(&message) && !subscription.updated());
	publication.publish(message);
	px4_host::set_clock(5_s); // the clock ran backwards: it waits
	EXPECT(!subscription.updated());
	px4_host::set_clock(12_s);
	EXPECT(subscription.updated());
}

static void callbacks()
{
	Item item;
	uORB::SubscriptionCallbackWorkItem subscription{&item, ORB_ID(sensor_combined)};
	uORB::Publication<sensor_combined_s> publication{ORB_ID(sensor_combined)};
	publication.publish(sample(1));
	px4_host::run_queue();
	EXPECT(item.runs == 0);
	EXPECT(subscription.registerCallback() && subscription.registerCallback());
	publication.publish(sample(2));
	EXPECT(item.runs == 0); // scheduled, no more
	publication.publish(sample(3));
	px4_host::run_queue();
	EXPECT(item.runs == 1); // queued once
	px4_host::run_queue();
	EXPECT(item.runs == 1);

	px4_host::hold_queue(true);
	publication.publish(sample(4));
	px4_host::run_queue();
	EXPECT(item.runs == 1);
	px4_host::hold_queue(false);
	px4_host::run_queue();
	EXPECT(item.runs == 2);

	subscription.unregisterCallback();
	publication.publish(sample(5));
	px4_host::run_queue();
	EXPECT(item.runs == 2);

	// Not published yet: registering a callback creates the topic.
	uORB::SubscriptionCallbackWorkItem first{&item, ORB_ID(vehicle_air_data)};
	EXPECT(!first.valid() && first.registerCallback() && first.valid() && !first.advertised());
}

static void timers()
{
	px4_host::set_clock(100_s);
	Item item;
	item.ScheduleDelayed(1000);
	EXPECT(item.Scheduled());
	px4_host::set_clock(100_s + 999_us);
	EXPECT(item.runs == 0);
	px4_host::set_clock(200_s);
	EXPECT(item.runs == 1 && !item.Scheduled());

	item.again = 3;
	item.ScheduleNow();
	px4_host::run_queue();
	EXPECT(item.runs == 5); // it scheduled itself three times more

	item.ScheduleOnInterval(500000);
	px4_host::set_clock(202_s);
	EXPECT(item.runs == 10 && item.last_run_us == 202_s); // at 200, 200.5 … 202
	px4_usleep(1000000);
	EXPECT(item.runs == 12 && hrt_absolute_time() == 203_s);
	item.ScheduleClear();
	px4_host::set_clock(210_s);
	EXPECT(item.runs == 12);

	item.ScheduleDelayed(1000000);
	item.ScheduleDelayed(3000000); // the later call counts
	px4_host::set_clock(212_s);
	EXPECT(item.runs == 12);
	item.ScheduleNow();
	item.ScheduleClear(); // what is queued goes too
	px4_host::set_clock(220_s);
	px4_host::run_queue();
	EXPECT(item.runs == 12);

	item.ScheduleOnInterval(1000);
	px4_host::set_clock(1000000_s); // a jump, not a wait
	EXPECT(item.runs == 13);

	item.ScheduleDelayed(500000);
	px4_host::set_clock(7_s); // set back: still half a second to go
	EXPECT(item.runs == 13);
	px4_host::set_clock(7_s + 499_ms);
	EXPECT(item.runs == 13);
	px4_host::set_clock(7_s + 500_ms);
	EXPECT(item.runs == 14);

	Item *gone = new Item;
	gone->ScheduleNow();
	gone->ScheduleDelayed(1);
	delete gone;
	px4_host::set_clock(8_s);
}

class Parameters : public ModuleParams
{
public:
	Parameters() : ModuleParams(nullptr) {}
	void update() { updateParams(); }

	DEFINE_PARAMETERS(
		(ParamBool<px4::params::TEST_BOOL>) _bool,
		(ParamInt<px4::params::TEST_INT>) _int,
		(ParamFloat<px4::params::TEST_FLOAT>) _float
	)

public:
	bool boolean() const { return _bool.get(); }
	int32_t integer() const { return _int.get(); }
	float real() const { return _float.get(); }
};

static void parameters()
{
	Parameters module;
	EXPECT(module.boolean() && module.integer() == -7 && module.real() > 0.24f && module.real() < 0.26f);
	const int32_t integer = 12;
	const float real = 2.5f;
	const int32_t off = 0;
	EXPECT(param_set(static_cast<param_t>(px4::params::TEST_INT), &integer) == 0);
	EXPECT(param_set(static_cast<param_t>(px4::params::TEST_FLOAT), &real) == 0);
	EXPECT(param_set(static_cast<param_t>(px4::params::TEST_BOOL), &off) == 0);
	EXPECT(module.integer() == -7); // until they are read again
	module.update();
	EXPECT(!module.boolean() && module.integer() == 12 && module.real() > 2.4f);
	EXPECT(param_set(99, &real) != 0);
}

static void counters()
{
	const int64_t blocks = px4_host::allocated_blocks();
	perf_counter_t elapsed = perf_alloc(PC_ELAPSED, "elapsed");
	EXPECT(px4_host::allocated_blocks() == blocks + 1);
	px4_host::set_clock(2000000_s);
	perf_end(elapsed);
	perf_begin(elapsed);
	px4_host::spend(30);
	perf_end(elapsed);
	perf_end(elapsed);
	perf_print_counter(elapsed);
	EXPECT(strcmp(printed, "elapsed: 1 events, 30us\n") == 0);
	perf_free(elapsed);
	EXPECT(px4_host::allocated_blocks() == blocks);
	perf_count(nullptr);
	perf_free(nullptr);
}

int main()
{
	topics_of_one_message();
	publishers_that_go();
	topics_with_a_queue();
	subscriptions_with_an_interval();
	callbacks();
	timers();
	parameters();
	counters();
	printf("%d failures\n", failures);
	return failures != 0;
}
