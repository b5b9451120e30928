// Names in pickles: what only does harm is refused wherever a module has imported or copied it; classes and functions
// that are merely unknown are not.
#include "formats/pickle_harm.h"

#include "core/error.h"
#include "formats/pickled_file.h"
#include "hostile.h"
#include "support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;
using namespace moproc::test::pickle;

namespace {

struct Name {
  const char* module;
  const char* name;
};

constexpr Name kHarmfulNames[] = {
    // through a module that another one has imported
    {"inspect", "builtins.eval"},
    {"enum", "bltns.eval"},
    {"enum", "bltns"},
    {"tempfile", "_os.system"},
    {"random", "_os"},
    {"collections", "_sys.modules"},
    {"collections", "_sys"},
    {"logging", "io.open"},
    {"torch", "builtins.eval"},
    {"torch", "serialization.load"},
    {"torch.storage", "torch.load"},
    {"torch.nn.modules.module", "torch.hub.load"},
    {"a.b", "anything.lower.case"},
    {"a.b", "Class.os.system"},
    {"a.b", "Class.method.x"},
    // copies of modules
    {"six.moves.builtins", "eval"},
    {"future.moves.subprocess", "run"},
    {"sklearn.externals.joblib", "load"},
    {"setuptools._distutils.spawn", "spawn"},
    {"botocore.vendored.six.moves.urllib.request", "urlopen"},
    // functions that others import
    {"_pyio", "open"},
    {"gzip", "open"},
    {"bz2", "BZ2File"},
    {"PIL.Image", "open"},
    {"fsspec", "open"},
    {"a.b", "system"},
    {"a.b", "eval"},
    {"a.b", "Popen"},
    {"psutil", "Popen"},
    {"django.utils.module_loading", "import_module"},
    {"distutils.spawn", "spawn"},
    {"distutils.dir_util", "remove_tree"},
    {"setuptools", "setup"},
    {"setuptools.command.easy_install", "main"},
    {"dataclasses", "_create_fn"},
    {"logging", "FileHandler"},
    {"logging.handlers", "RotatingFileHandler"},
    {"torch.fx.graph_module", "reduce_graph_module"},
    {"torch.fx", "reduce_graph_module"},
    {"torch.distributed.rpc", "rpc_sync"},
    {"numpy", "memmap"},
    {"numpy.core.memmap", "memmap"},
    {"_operator", "attrgetter"},
    // methods
    {"numpy", "ndarray.tofile"},
    {"pathlib", "Path.write_text"},
    {"pathlib", "PosixPath.open"},
    {"torch.hub", "Path.unlink"},
    {"a.b", "MyPath.write_bytes"},
    {"torch", "UntypedStorage.from_file"},
    {"a.b", "Class.__globals__"},
};

constexpr Name kOrdinaryNames[] = {
    {"argparse", "Namespace"},
    {"pathlib", "PosixPath"},
    {"pathlib", "WindowsPath"},
    {"pathlib._local", "PosixPath"},
    {"datetime", "datetime"},
    {"numpy.core.multiarray", "scalar"},
    {"numpy._core.multiarray", "scalar"},
    {"numpy", "dtype"},
    {"numpy.dtypes", "Float32DType"},
    {"numpy", "float64"},
    {"numpy.random._pickle", "__generator_ctor"},
    {"collections", "OrderedDict"},
    {"collections", "defaultdict"},
    {"collections", "Counter"},
    {"easydict", "EasyDict"},
    {"omegaconf.dictconfig", "DictConfig"},
    {"omegaconf.base", "ContainerMetadata"},
    {"yacs.config", "CfgNode"},
    {"mmcv.utils.config", "ConfigDict"},
    {"detectron2.config.config", "CfgNode"},
    {"ml_collections.config_dict.config_dict", "ConfigDict"},
    {"lightning.pytorch.utilities.parsing", "AttributeDict"},
    {"__main__", "Config"},
    {"models.resnet", "ResNet"},
    {"models.code", "Encoder"},
    {"methods.ssl", "MoCo"},
    {"data.pdb", "Protein"},
    {"backends.torch.hub", "Net"},
    {"torch.optim.sgd", "SGD"},
    {"torch.optim.lr_scheduler", "CosineAnnealingLR"},
    {"torch.optim.lr_scheduler", "OneCycleLR._annealing_cos"},
    {"torch", "device"},
    {"torch", "float16"},
    {"torch.nn.modules.container", "Sequential"},
    {"torch._utils", "_rebuild_qtensor"},
    {"torch.serialization", "_get_layout"},
    {"torch.distributed.tensor._api", "DTensor"},
    {"torch.distributed._shard.sharded_tensor.api", "ShardedTensor"},
    {"functools", "partial"},
    {"re", "_compile"},
    {"types", "SimpleNamespace"},
    {"uuid", "UUID"},
    {"a.b", "Outer.Inner"},
    {"a.b", "_Outer._Inner.RED"},
    {"a.b", "State.open"},
    {"a.b", "Role.system"},
    {"a.b", "function"},
};

std::string shown(const Name& n) { return std::string(n.module) + " " + n.name; }

}  // namespace

TEST("harm: names that reach a harmful function through another module are refused") {
  for (const Name& n : kHarmfulNames)
    if (harm_in(n.module, n.name) != kHarm) note(false, __FILE__, __LINE__, shown(n) + " passes");
  // In a file, by both opcodes and by getattr.
  CHECK_THROWS(parse_pickled(as_bytes(proto4 + "\x8c\x07inspect\x8c\x0d" + "builtins.eval\x93."), "f"),
               "f: pickle, byte 26, opcode STACK_GLOBAL: mentions 'inspect.builtins.eval', which no checkpoint needs");
  CHECK_THROWS(parse_pickled(as_bytes(proto2 + global("enum", "bltns.eval") + "."), "f"),
               "byte 2, opcode GLOBAL: mentions 'enum.bltns.eval', which no checkpoint needs");
  const std::string step = global("builtins", "getattr") + tuple({global("torch", "nn"), text("functional")}) + "R";
  CHECK_THROWS(parse_pickled(as_bytes(proto2 + step + "."), "f"), "opcode REDUCE: mentions 'torch.nn.functional'");
}

TEST("harm: the names of ordinary checkpoints pass") {
  for (const Name& n : kOrdinaryNames)
    if (const std::string harm = harm_in(n.module, n.name); !harm.empty())
      note(false, __FILE__, __LINE__, shown(n) + " is refused");
}
