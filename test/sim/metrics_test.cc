// Counters and samples by intervals, in virtual time; and what the server measures of itself.
#include "orchestrator/metrics.h"

#include "orchestrator/api/metrics_text.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

TEST_CASE("the newest interval that is over is shown; until there is one, the first") {
  SeededRandom random(1);
  SimExecutor executor(random);
  Metrics metrics(executor);
  const auto count_of = [&](const char* name) {
    const auto& counters = metrics.newest().counters;
    const auto found = counters.find({name, {}});
    return found == counters.end() ? 0u : found->second.count;
  };
  metrics.count("a");
  metrics.count("a");
  EXPECT_EQ(count_of("a"), 2u);
  executor.run_for(Metrics::kIntervalMs);
  metrics.count("a");
  EXPECT_EQ(count_of("a"), 2u);
  executor.run_for(Metrics::kIntervalMs);
  EXPECT_EQ(count_of("a"), 1u);
  executor.run_for(5 * Metrics::kIntervalMs);
  EXPECT_EQ(count_of("a"), 0u);
  EXPECT_EQ(metrics.all_counters().at({"a", {}}).count, 3u);
}

TEST_CASE("a sample's sums are those of Nomad's") {
  Metrics::Sums sums;
  for (const double value : {2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0}) sums.add(value);
  EXPECT_EQ(sums.count, 8u);
  EXPECT_EQ(sums.sum, 40.0);
  EXPECT_EQ(sums.min, 2.0);
  EXPECT_EQ(sums.max, 9.0);
  EXPECT_EQ(sums.mean(), 5.0);
  EXPECT(std::abs(sums.stddev() - 2.138089935) < 1e-6);
  EXPECT_EQ(sums.rate(), 4.0);
  EXPECT_EQ(Metrics::Sums().stddev(), 0.0);
  EXPECT_EQ(Metrics::Sums().mean(), 0.0);
}

TEST_CASE("series have a limit, behind which labels are left out") {
  SeededRandom random(1);
  SimExecutor executor(random);
  Metrics metrics(executor);
  for (size_t i = 0; i < Metrics::kMaxSeries + 10; ++i) {
    metrics.count("a", {{"job", std::to_string(i)}});
  }
  EXPECT_EQ(metrics.all_counters().size(), Metrics::kMaxSeries + 1);
  EXPECT_EQ(metrics.all_counters().at({"a", {}}).count, 10u);
}

TEST_CASE("both forms of the metrics") {
  SeededRandom random(1);
  SimExecutor executor(random);
  Metrics metrics(executor);
  metrics.count("x.start", {{"job", "a\"b"}});
  metrics.sample("x.took", 1.5);
  metrics.sample("x.took", 2.5);
  const std::vector<api::Gauge> gauges{{"x.now", 3, {}}};
  EXPECT_EQ(api::json_metrics(gauges, &metrics, 1'553'893'089'000'000'000),
            R"({"Timestamp":"2019-03-29T20:58:09Z","Gauges":[{"Name":"x.now","Value":3,)"
            R"("Labels":{}}],"Points":[],"Counters":[{"Name":"x.start","Count":1,"Sum":1,)"
            R"("Min":1,"Max":1,"Mean":1,"Stddev":0,"Rate":0.1,"Labels":{"job":"a\"b"}}],)"
            R"("Samples":[{"Name":"x.took","Count":2,"Sum":4,"Min":1.5,"Max":2.5,"Mean":2,)"
            R"("Stddev":0.7071067811865476,"Rate":0.4,"Labels":{}}]})");
  EXPECT_EQ(api::prometheus_metrics(gauges, &metrics),
            "# HELP x_now x_now\n# TYPE x_now gauge\nx_now 3\n"
            "# HELP x_start x_start\n# TYPE x_start counter\nx_start{job=\"a\\\"b\"} 1\n"
            "# HELP x_took x_took\n# TYPE x_took summary\nx_took_sum 4\nx_took_count 2\n");
  EXPECT_EQ(api::prometheus_metrics({}, nullptr), "");
}

TEST_CASE("the server measures its scheduling, its plans and its commits") {
  Cluster cluster(41);
  Metrics metrics(cluster.executor);
  cluster.options.metrics = &metrics;
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 2));
  REQUIRE(cluster.settle());
  const auto& samples = metrics.all_samples();
  EXPECT(samples.at({"nomad.nomad.worker.invoke_scheduler.service", {}}).count >= 1);
  EXPECT(samples.at({"nomad.nomad.plan.submit", {}}).count >= 1);
  EXPECT(samples.at({"nomad.raft.commitTime", {}}).count >= 2);
}

}  // namespace sluice::sim
