// A name is harmful if Python code that it leads to runs programs or code, imports modules by name, reads other
// pickles, or reaches files or the network. Of the built-in names, those that a data pickle can need are listed
// instead. Python finds a name wherever a module has imported it ("tempfile._os.system"), so each end of a path is
// compared with the lists, not only the whole path.
#include "formats/pickle_harm.h"

#include <algorithm>

#include "formats/harmful_names.h"

namespace moproc::formats {

using namespace harmful_names;

namespace {

template <class List>
bool contains(const List& list, std::string_view item) {
  return std::find(std::begin(list), std::end(list), item) != std::end(list);
}

bool is_identifier(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
  });
}

/// Calls f(part) for each part between dots; false as soon as f returns false.
template <class F>
bool each_part(std::string_view path, F&& f) {
  for (;;) {
    const size_t dot = path.find('.');
    if (!f(path.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    path.remove_prefix(dot + 1);
  }
}

/// `part` without leading underscores.
std::string_view bare(std::string_view part) {
  part.remove_prefix(std::min(part.size(), part.find_first_not_of('_')));
  return part;
}

bool is_entry(std::string_view path) {
  return std::any_of(std::begin(kHarmful), std::end(kHarmful), [&](std::string_view entry) {
    return path.starts_with(entry) && (path.size() == entry.size() || path[entry.size()] == '.');
  });
}

/// Whether the path is listed, or an end of it that begins with a module of which others have copies.
bool is_listed(std::string_view path) {
  if (is_entry(path) || is_entry(bare(path))) return true;
  for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.', dot + 1)) {
    const std::string_view end = bare(path.substr(dot + 1));
    if (contains(kCopied, end.substr(0, end.find('.'))) && is_entry(end)) return true;
  }
  return false;
}

/// "eval", "IndexError": whether a data pickle can have a use for this built-in name.
bool is_plain_builtin(std::string_view name) {
  return contains(kPlainBuiltins, name) || name.ends_with("Error") || name.ends_with("Exception") ||
         name.ends_with("Warning");
}

/// Whether the module is Python's builtins or a copy of it, such as six.moves.builtins.
bool is_builtins(std::string_view module) {
  const std::string_view last = module.substr(module.rfind('.') + 1);
  return module == "__builtin__" || module == "__builtins__" || bare(last) == "builtins";
}

/// Whether a step of an attribute's path leads out of the module: to a module that it has imported, or into the
/// interpreter by a name such as __globals__.
bool leads_away(std::string_view part) {
  return contains(kImported, bare(part)) || (part.starts_with("__") && part.ends_with("__"));
}

/// Whether the qualified name does harm in any module: by a step that leads away, by a function or method of the lists,
/// or because it reaches through something that is no class ("bltns.eval"), which only a module can be.
bool is_harmful_name(std::string_view name) {
  if (contains(kFunctions, name.substr(0, name.find('.')))) return true;
  bool of_class = true;
  return !each_part(name, [&](std::string_view part) {
    const bool stays = of_class && !leads_away(part) && !contains(kMethods, part);
    of_class = is_class_like(part);
    return stays;
  });
}

}  // namespace

bool is_class_like(std::string_view name) {
  name = bare(name);
  return !name.empty() && name.front() >= 'A' && name.front() <= 'Z';
}

std::string harm_in(std::string_view module, std::string_view name) {
  const std::string path = std::string(module) + "." + std::string(name);
  if (!each_part(path, is_identifier)) return "which is not a name of Python";
  if (module == "copyreg" || module == "copy_reg") return contains(kConstructors, name) ? "" : kHarm;
  if (is_builtins(module)) return is_plain_builtin(name) ? "" : kHarm;
  if (module == "_codecs" && name == "encode") return "";
  if (path == "torch._dynamo.decorators._DimRange") return "";                        // of PyTorch's nested tensors
  if (module == "pathlib" && name.find('.') != std::string_view::npos) return kHarm;  // Path.open and its like
  return is_listed(path) || is_harmful_name(name) ? kHarm : "";
}

}  // namespace moproc::formats
