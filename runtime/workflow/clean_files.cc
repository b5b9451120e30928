// WebVision's report has millions of lines, so everything is written line by line, twice: once to know the digests,
// which the summary states, and once into the files.
#include "workflow/clean_files.h"

#include <filesystem>
#include <span>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "formats/csv.h"
#include "formats/mapped_file.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "formats/sha256.h"
#include "log/console.h"
#include "train/targets.h"

namespace moproc::train {
namespace {

namespace fs = std::filesystem;
using formats::csv_field;
using formats::OutputFile;

/// A line of the report, and what it became by a decision.
struct Judged {
  std::string line, row;  // of report and table
  std::string verdict;
  int64_t label = -1;  // -1: left out
};

/// The position behind `, "key": ` in a line of ours. Inside a string, a quote has a backslash before it.
size_t behind(std::string_view line, std::string_view key) {
  const std::string text = ", \"" + std::string(key) + "\": ";
  return line.find(text) + text.size();
}

class Writer {
 public:
  explicit Writer(const CleanResults& r) : r_(r) {}

  /// Calls `take` for each image in order.
  template <class F>
  CleanOutcome each(F&& take) const {
    CleanOutcome done;
    size_t at = 0;
    for (int64_t i = 0; i < static_cast<int64_t>(r_.list.size()); ++i) {
      const size_t end = r_.lines.find('\n', at);
      const Judged j = judged(i, r_.lines.substr(at, end - at), done.decisions);
      at = end + 1;
      done.images.add(j.verdict);
      take(i, j);
    }
    return done;
  }

 private:
  Judged judged(int64_t i, std::string_view line, DecisionCounts& counts) const {
    const Json json = parse_json(line, "report line " + std::to_string(i + 1));
    Judged j{std::string(line), "", *json.find("verdict")->string()};
    if (int64_t label = -1; json.find("pseudo")->integer(label)) j.label = label;
    const auto found = r_.decisions.find(i);
    if (found != r_.decisions.end()) decide(i, found->second, j, counts);
    j.row = row(i, json, j, found == r_.decisions.end() ? "" : name_of(found->second.kind));
    return j;
  }

  void decide(int64_t i, const Decision& d, Judged& j, DecisionCounts& counts) const {
    ++(d.kind == Decision::Kind::keep ? counts.keep : d.kind == Decision::Kind::drop ? counts.drop : counts.relabel);
    if (j.verdict == "unreadable") {
      counts.unreadable += d.label >= 0;
    } else {
      const int64_t given = r_.list.label(static_cast<size_t>(i));
      counts.changed += d.label != j.label;
      j.label = d.label;
      j.verdict = d.label < 0 ? "dropped" : d.label == given ? "kept" : "relabelled";
    }
    const size_t pseudo = behind(j.line, "pseudo"), pseudo_end = j.line.find(',', pseudo);
    j.line.replace(pseudo, pseudo_end - pseudo, j.label < 0 ? "null" : std::to_string(j.label));
    j.line.resize(behind(j.line, "verdict"));
    j.line += "\"" + j.verdict + "\", \"decision\": \"" + name_of(d.kind) + "\"}";
  }

  std::string named(int64_t c) const {
    const data::ClassTable& classes = r_.list.classes();
    const bool known = c >= 0 && static_cast<size_t>(c) < classes.size();
    return known ? csv_field(classes.name(static_cast<size_t>(c))) : "";
  }

  std::string row(int64_t i, const Json& json, const Judged& j, const char* decision) const {
    const auto score = [&](size_t at) -> std::string {
      const Json* const pair = json.find("score");
      const double* const value = pair ? (*pair->array())[at].number() : nullptr;
      return value ? format("%.6g", *value) : "";
    };
    const int64_t given = r_.list.label(static_cast<size_t>(i));
    int64_t best = -1;
    if (const Json* const found = json.find("best")) found->integer(best);
    const auto number = [](int64_t c) { return c < 0 ? std::string() : std::to_string(c); };
    return csv_field(r_.list.name(static_cast<size_t>(i))) + "," + number(given) + "," + named(given) + "," + score(0) +
           "," + number(best) + "," + named(best) + "," + score(1) + "," + j.verdict + "," + number(j.label) + "," +
           decision;
  }

  const CleanResults& r_;
};

/// Collects text and passes it on in large pieces.
class Pieces {
 public:
  explicit Pieces(std::function<void(std::string_view)> take) : take_(std::move(take)) {}
  void add(std::string_view text) {
    text_ += text;
    if (text_.size() >= kSize) flush();
  }
  void flush() {
    take_(text_);
    text_.clear();
  }

 private:
  static constexpr size_t kSize = 1 << 20;
  std::function<void(std::string_view)> take_;
  std::string text_;
};

/// Passes the lines of the report and the rows of the table on.
CleanOutcome write_lines(const Writer& writer, Pieces& report, Pieces& csv,
                         const std::function<void(int64_t, const Judged&)>& also) {
  csv.add(std::string(kCleanColumns) + "\n");
  const CleanOutcome done = writer.each([&](int64_t i, const Judged& j) {
    report.add(j.line + "\n");
    csv.add(j.row + "\n");
    also(i, j);
  });
  report.flush();
  csv.flush();
  return done;
}

std::string counts_of(const VerdictCounts& c) {
  return JsonLine()
      .add("kept", c.kept)
      .add("relabelled", c.relabelled)
      .add("dropped", c.dropped)
      .add("unreadable", c.unreadable)
      .text();
}

std::string counts_of(const DecisionCounts& c) {
  return JsonLine()
      .add("keep", c.keep)
      .add("drop", c.drop)
      .add("relabel", c.relabel)
      .add("changed", c.changed)
      .add("unreadable", c.unreadable)
      .text();
}

}  // namespace

void VerdictCounts::add(std::string_view verdict) {
  ++(verdict == "kept" ? kept : verdict == "relabelled" ? relabelled : verdict == "dropped" ? dropped : unreadable);
}

CleanFiles::CleanFiles(const std::string& path) : annotation(path), partial(path + ".partial") {
  const std::string base = path.ends_with(".json") ? path.substr(0, path.size() - 5) : path;
  report = base + ".report.jsonl";
  csv = base + ".csv";
  summary = base + ".summary.json";
}

CleanDigests read_digests(const std::string& summary) {
  std::error_code error;
  if (!fs::is_regular_file(summary, error) || fs::file_size(summary, error) == 0) return {};
  const formats::MappedFile file(summary);
  const auto bytes = file.bytes();
  const Json json = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, summary);
  const auto of = [&](const char* name) -> std::string {
    const Json* const made = json.find("sha256");
    const Json* const value = made ? made->find(name) : nullptr;
    const std::string* const text = value ? value->string() : nullptr;
    return text ? *text : "";
  };
  return {of("annotation"), of("report"), of("csv")};
}

void require_clean_files(const CleanFiles& files) {
  formats::require_file(files.partial, formats::json_mark(kCleanPartial));
  formats::require_file(files.summary, formats::json_mark(kCleanSummary));
  const CleanDigests made = read_digests(files.summary);
  require_named(files.annotation, made.annotation, files.summary);
  require_named(files.report, made.report, files.summary);
  require_named(files.csv, made.csv, files.summary);
}

/// The summary has the digests by which the other files are recognised as ours. So older ones are removed first, and
/// the summary is written before the new ones: if the process is stopped here, every file that exists is recognised,
/// and the partial file is complete.
CleanOutcome write_clean_files(const CleanFiles& files, const CleanResults& results) {
  require_clean_files(files);
  const Writer writer(results);
  std::string images, labels;
  formats::Sha256 of_annotation, of_report, of_csv;
  const auto add_to = [](formats::Sha256& sha) {
    return Pieces([&](std::string_view part) { sha.add(std::as_bytes(std::span(part.data(), part.size()))); });
  };
  Pieces report = add_to(of_report), csv = add_to(of_csv);
  const CleanOutcome done = write_lines(writer, report, csv, [&](int64_t i, const Judged& j) {
    if (j.label < 0) return;
    write_json_ascii(images += images.empty() ? "" : ", ", results.list.name(static_cast<size_t>(i)));
    (labels += labels.empty() ? "" : ", ") += std::to_string(j.label);
  });
  // as Python's json.dump writes it
  const data::ClassTable& classes = results.list.classes();
  const std::string names = classes.empty() ? "" : ", \"classes\": " + classes.json();
  const std::string annotation = "{\"images\": [" + images + "], \"labels\": [" + labels + "]" + names + "}";
  of_annotation.add(std::as_bytes(std::span(annotation)));
  const std::string digests =
      JsonLine().add("annotation", of_annotation.hex()).add("report", of_report.hex()).add("csv", of_csv.hex()).text();
  for (const std::string& file : {files.annotation, files.report, files.csv}) fs::remove(file);
  formats::write_atomically(files.summary, formats::json_mark(kCleanSummary), [&](OutputFile& out) {
    out.write("{\"format\": \"" + std::string(kCleanSummary) + "\",\n \"settings\": " + std::string(results.header) +
              ",\n \"names\": " + (classes.empty() ? "null" : classes.json()) +
              ",\n \"images\": " + counts_of(done.images) + ",\n \"decisions\": " + counts_of(done.decisions) +
              ",\n \"sha256\": " + digests + "}\n");
  });
  const formats::Mark mark = formats::checked_mark();
  formats::write_atomically(files.report, mark, [&](OutputFile& report_file) {
    formats::write_atomically(files.csv, mark, [&](OutputFile& csv_file) {
      Pieces lines([&](std::string_view part) { report_file.write(part); });
      Pieces rows([&](std::string_view part) { csv_file.write(part); });
      write_lines(writer, lines, rows, [](int64_t, const Judged&) {});
    });
  });
  formats::write_atomically(files.annotation, mark, [&](OutputFile& out) { out.write(annotation); });
  return done;
}

}  // namespace moproc::train
