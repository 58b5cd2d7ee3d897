#include "orchestrator/cli/format_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::orchestrator::cli {
namespace {

struct Marker {
  std::string text;
  size_t width;
};

Marker marker_of(const Json& diff, const Style& style) {
  const std::string_view type = diff.get_string("Type");
  if (type == "Added") return {style.green("+") + " ", 2};
  if (type == "Deleted") return {style.red("-") + " ", 2};
  if (type == "Edited") return {style.light_yellow("+/-") + " ", 4};
  return {"", 0};
}

std::string spaces(size_t count) {
  return std::string(count, ' ');
}

/// One diff level: markers are padded to the widest among its children, names to the longest field.
struct Level {
  size_t indent;
  size_t field_width = 0;
  size_t marker_width = 0;

  void measure(const Json& children, const Style& style) {
    for (const Json& child : items(children)) {
      marker_width = std::max(marker_width, marker_of(child, style).width);
    }
  }
  void measure_fields(const Json& fields) {
    for (const Json& field : items(fields)) {
      field_width = std::max(field_width, field.get_string("Name").size());
    }
  }
};

std::string annotations(const Json& list, const Style& style) {
  std::vector<std::string> out;
  for (const std::string& note : strings_of(&list)) {
    if (note == "forces create") {
      out.push_back(style.green(note));
    } else if (note == "forces destroy") {
      out.push_back(style.red(note));
    } else if (note == "forces in-place update") {
      out.push_back(style.cyan(note));
    } else if (note == "forces create/destroy update") {
      out.push_back(style.yellow(note));
    } else {
      out.push_back(note);
    }
  }
  return join(out, ", ");
}

std::string field_line(const Json& field, const Level& level, const Style& style) {
  const Marker marker = marker_of(field, style);
  const std::string_view name = field.get_string("Name");
  const std::string_view type = field.get_string("Type");
  std::string out = spaces(level.indent) + marker.text + spaces(level.marker_width - marker.width) +
                    std::string(name) + ": " + spaces(level.field_width - name.size());
  if (type == "Deleted") {
    out += quoted(field.get_string("Old"));
  } else if (type == "Edited") {
    out += quoted(field.get_string("Old")) + " => " + quoted(field.get_string("New"));
  } else {
    out += quoted(field.get_string("New"));
  }
  const std::string notes = annotations(at(field, "Annotations"), style);
  if (!notes.empty()) out += " (" + notes + ")";
  return out;
}

std::string fields_and_objects(const Json& diff, const Level& level, const Style& style);

std::string object_block(const Json& object, const Level& level, const Style& style) {
  const Marker marker = marker_of(object, style);
  const size_t padding = level.marker_width - marker.width;
  Level inner{level.indent + padding + 2};
  inner.measure_fields(at(object, "Fields"));
  inner.measure(at(object, "Fields"), style);
  inner.measure(at(object, "Objects"), style);
  return fmt::format("{}{}{}{} {{\n{}\n{}}}", spaces(level.indent), marker.text, spaces(padding),
                     object.get_string("Name"), fields_and_objects(object, inner, style),
                     spaces(level.indent + marker.width + padding));
}

std::string fields_and_objects(const Json& diff, const Level& level, const Style& style) {
  std::vector<std::string> lines;
  for (const Json& field : items(at(diff, "Fields"))) {
    lines.push_back(field_line(field, level, style));
  }
  for (const Json& object : items(at(diff, "Objects"))) {
    lines.push_back(object_block(object, level, style));
  }
  return join(lines, "\n");
}

std::string updates_text(const Json& updates, const Style& style) {
  std::vector<std::string> out;
  for (const std::string& kind : sorted_keys(updates)) {
    const std::string text = number_text(updates.find(kind)) + " " + kind;
    if (kind == "create") {
      out.push_back(style.green(text));
    } else if (kind == "destroy") {
      out.push_back(style.red(text));
    } else if (kind == "migrate") {
      out.push_back(style.blue(text));
    } else if (kind == "in-place update") {
      out.push_back(style.cyan(text));
    } else if (kind == "create/destroy update") {
      out.push_back(style.yellow(text));
    } else if (kind == "canary") {
      out.push_back(style.light_yellow(text));
    } else {
      out.push_back(text);
    }
  }
  return join(out, ", ");
}

std::string task_block(const Json& task, size_t indent, size_t padding, bool verbose,
                       const Style& style) {
  const std::string_view type = task.get_string("Type");
  std::string out = spaces(indent) + marker_of(task, style).text + spaces(padding) +
                    style.bold("Task: " + quoted(task.get_string("Name")));
  const std::string notes = annotations(at(task, "Annotations"), style);
  if (!notes.empty()) out += " (" + notes + ")";
  if (type == "None" || ((type == "Added" || type == "Deleted") && !verbose)) return out;
  Level level{indent + 2};
  level.measure_fields(at(task, "Fields"));
  level.measure(at(task, "Fields"), style);
  level.measure(at(task, "Objects"), style);
  return out + "\n" + fields_and_objects(task, level, style);
}

std::string group_block(const Json& group, size_t padding, bool verbose, const Style& style) {
  std::string out = marker_of(group, style).text + spaces(padding) +
                    style.bold("Task Group: " + quoted(group.get_string("Name")));
  const std::string updates = updates_text(at(group, "Updates"), style);
  if (!updates.empty()) out += " (" + updates + ")";
  out += '\n';

  Level level{padding + 2};
  level.measure_fields(at(group, "Fields"));
  level.measure(at(group, "Fields"), style);
  level.measure(at(group, "Objects"), style);
  level.measure(at(group, "Tasks"), style);
  if (group.get_string("Type") == "Edited" || verbose) {
    const std::string text = fields_and_objects(group, level, style);
    if (!text.empty()) out += text + "\n";
  }
  for (const Json& task : items(at(group, "Tasks"))) {
    const size_t task_padding = level.marker_width - marker_of(task, style).width;
    out += task_block(task, level.indent, task_padding, verbose, style) + "\n";
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

std::string dry_run(const Json& reply, const Json& job, const Clock& clock, const Style& style) {
  std::string out;
  const Json& failed = at(reply, "FailedTGAllocs");
  if (failed.size() == 0) {
    out = style.bold(style.green("- All tasks successfully allocated.")) + "\n";
  } else {
    const bool system = job.get_string("Type") == "system" || job.get_string("Type") == "sysbatch";
    out = style.bold(style.yellow(system ? "- WARNING: Failed to place allocations on all nodes."
                                         : "- WARNING: Failed to place all allocations.")) +
          "\n";
    for (const std::string& group : sorted_keys(failed)) {
      const Json& metric = at(failed, group);
      const int64_t more = metric.get_int("CoalescedFailures");
      out += style.yellow(fmt::format("  Task Group {} (failed to place {} {}):", quoted(group),
                                      more + 1, more > 0 ? "allocations" : "allocation")) +
             "\n" + style.yellow(format_alloc_metric(metric, false, "    ")) + "\n\n";
    }
    out.pop_back();
  }
  if (const auto next = parse_time(reply.get_string("NextPeriodicLaunch"))) {
    out += style.green(fmt::format("- If submitted now, next periodic launch would be at {} ({}).",
                                   time_text(*next, clock), time_difference(*next, clock.now_ns))) +
           "\n";
  }
  return out;
}

}  // namespace

std::string format_job_diff(const Json& diff, bool verbose, const Style& style) {
  Level level{0};
  level.measure_fields(at(diff, "Fields"));
  level.measure(at(diff, "Fields"), style);
  level.measure(at(diff, "Objects"), style);
  level.measure(at(diff, "TaskGroups"), style);
  std::string out =
      marker_of(diff, style).text + style.bold("Job: " + quoted(diff.get_string("ID"))) + "\n";
  if (diff.get_string("Type") == "Edited" || verbose) {
    const std::string text = fields_and_objects(diff, level, style);
    if (!text.empty()) out += text + "\n";
  }
  for (const Json& group : items(at(diff, "TaskGroups"))) {
    const size_t padding = level.marker_width - marker_of(group, style).width;
    out += group_block(group, padding, verbose, style) + "\n";
  }
  return std::string(trimmed(out));
}

std::string format_alloc_metric(const Json& metric, bool scores, std::string_view prefix) {
  std::string out;
  const auto bullet = [&](std::string_view text) { out += fmt::format("{}* {}\n", prefix, text); };
  const auto each = [&](std::string_view member, auto&& line) {
    const Json& counts = at(metric, member);
    for (const std::string& key : sorted_keys(counts)) line(key, counts.get_int(key));
  };
  if (metric.get_int("NodesEvaluated") == 0) bullet("No nodes were eligible for evaluation");
  each("NodesAvailable", [&](const std::string& datacenter, int64_t count) {
    if (count == 0) {
      bullet(fmt::format("No nodes are available in datacenter {}", quoted(datacenter)));
    }
  });
  each("ClassFiltered", [&](const std::string& name, int64_t count) {
    bullet(fmt::format("Class {}: {} nodes excluded by filter", quoted(name), count));
  });
  each("ConstraintFiltered", [&](const std::string& name, int64_t count) {
    bullet(fmt::format("Constraint {}: {} nodes excluded by filter", quoted(name), count));
  });
  if (const int64_t count = metric.get_int("NodesExhausted"); count > 0) {
    bullet(fmt::format("Resources exhausted on {} nodes", count));
  }
  each("ClassExhausted", [&](const std::string& name, int64_t count) {
    bullet(fmt::format("Class {} exhausted on {} nodes", quoted(name), count));
  });
  each("DimensionExhausted", [&](const std::string& name, int64_t count) {
    bullet(fmt::format("Dimension {} exhausted on {} nodes", quoted(name), count));
  });
  for (const std::string& quota : strings_of(metric.find("QuotaExhausted"))) {
    bullet(fmt::format("Quota limit hit {}", quoted(quota)));
  }
  if (scores && at(metric, "ScoreMetaData").size() > 0) {
    std::vector<std::string> names;
    for (const Json& node : items(at(metric, "ScoreMetaData"))) {
      for (const std::string& name : sorted_keys(at(node, "Scores"))) {
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      }
    }
    std::sort(names.begin(), names.end());
    std::vector<Row> rows(1, Row{"Node"});
    rows[0].insert(rows[0].end(), names.begin(), names.end());
    rows[0].push_back("final score");
    for (const Json& node : items(at(metric, "ScoreMetaData"))) {
      Row row{short_id(node.get_string("NodeID"))};
      for (const std::string& name : names) {
        row.push_back(fmt::format("{:.3g}", at(node, "Scores").get_double(name)));
      }
      row.push_back(fmt::format("{:.3g}", node.get_double("NormScore")));
      rows.push_back(std::move(row));
    }
    out += columns(rows) + "\n";
  }
  return std::string(trimmed(out));
}

std::string format_plan(const Json& reply, const Json& job, const PlanOptions& options,
                        const Clock& clock, const Style& style) {
  std::string out;
  if (options.diff) out += format_job_diff(at(reply, "Diff"), options.verbose, style) + "\n\n";
  out += style.bold("Scheduler dry-run:") + "\n" + dry_run(reply, job, clock, style) + "\n";
  if (const std::string_view warnings = reply.get_string("Warnings"); !warnings.empty()) {
    out += style.bold(style.yellow(fmt::format("Job Warnings:\n{}", trimmed(warnings)))) + "\n\n";
  }
  const Json& preempted = at(at(reply, "Annotations"), "PreemptedAllocs");
  if (preempted.size() > 0) {
    std::vector<Row> rows{{"Alloc ID", "Job ID", "Task Group"}};
    for (const Json& alloc : items(preempted)) {
      rows.push_back({std::string(alloc.get_string("ID")), std::string(alloc.get_string("JobID")),
                      std::string(alloc.get_string("TaskGroup"))});
    }
    out += style.bold("Preemptions:") + "\n\n" + columns(rows) + "\n\n";
  }
  const std::string index = number_text(reply.find("JobModifyIndex"));
  out += style.bold("Job Modify Index: " + index) +
         fmt::format(
             "\nTo submit the job with version verification run:\n\n"
             "sluice job run -check-index {} {}{}\n\n"
             "When running the job with the check-index flag, the job will only be run if the\n"
             "job modify index given matches the server-side version. If the index has\n"
             "changed, another user has modified the job and the plan's results are\n"
             "potentially invalid.\n",
             index, options.run_arguments, options.path);
  if (const std::string_view hash = reply.get_string("PlanHash"); !hash.empty()) {
    out += fmt::format(
        "\nTo do exactly what is shown here, or nothing, run:\n\n"
        "sluice job run -check-plan {} {}{}\n",
        hash, options.run_arguments, options.path);
  }
  return out;
}

int plan_exit_code(const Json& reply) {
  // What the scheduler would do decides, not the text of the job: counts alone may hide a change.
  const Json& updates = at(at(reply, "Annotations"), "DesiredTGUpdates");
  for (const std::string& group : sorted_keys(updates)) {
    const Json& counts = at(updates, group);
    for (const std::string& kind : sorted_keys(counts)) {
      if (kind != "Ignore" && counts.get_int(kind) > 0) return 1;
    }
  }
  return at(reply, "Diff").get_string("Type") == "None" || at(reply, "Diff").is_null() ? 0 : 1;
}

}  // namespace sluice::orchestrator::cli
