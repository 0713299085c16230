#include "io/pytorch.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/fail.h"
#include "io/file.h"
#include "io/json.h"
#include "io/pickle.h"
#include "io/strided.h"
#include "io/zip.h"

namespace csm {
namespace {

constexpr uint64_t kMaxPickleBytes = uint64_t{64} << 20;
constexpr size_t kMaxTensors = 1 << 16;
constexpr size_t kMaxDimensions = 16;
constexpr int kMaxDepth = 4;  // of dicts around the weights, of calls around a tensor
constexpr size_t kMaxListed = 8;
constexpr std::string_view kMagicBytes("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr int kLegacyVersion = 1001;
constexpr size_t kLegacyCountBytes = 8;

// Each function and type that a file of tensors needs; a pickle that asks for any other is refused where it asks.
constexpr std::string_view kGlobals[] = {
    "collections.OrderedDict", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter", "torch._tensor._rebuild_from_type_v2", "torch.nn.parameter.Parameter", "torch._tensor.Tensor",
    "torch.Tensor", "torch.Size", "torch.device", "_codecs.encode", "__builtin__.bytes", "builtins.bytes",
    "torch.storage.UntypedStorage", "torch.DoubleStorage", "torch.FloatStorage", "torch.HalfStorage", "torch.BFloat16Storage",
    "torch.LongStorage", "torch.IntStorage", "torch.ShortStorage", "torch.CharStorage", "torch.ByteStorage", "torch.BoolStorage",
    "torch.ComplexFloatStorage", "torch.ComplexDoubleStorage", "torch.float64", "torch.float32", "torch.float16", "torch.bfloat16",
    "torch.int64", "torch.int32", "torch.int16", "torch.int8", "torch.uint8", "torch.bool", "torch.uint16", "torch.uint32", "torch.uint64",
    "torch.complex64", "torch.complex128", "torch.float8_e4m3fn", "torch.float8_e5m2"};

struct NamedType {
  std::string_view name;
  DType type;
};
constexpr NamedType kTypes[] = {
    {"torch.DoubleStorage", DType::kF64}, {"torch.FloatStorage", DType::kF32}, {"torch.HalfStorage", DType::kF16},
    {"torch.BFloat16Storage", DType::kBF16}, {"torch.LongStorage", DType::kI64}, {"torch.IntStorage", DType::kI32},
    {"torch.ShortStorage", DType::kI16}, {"torch.CharStorage", DType::kI8}, {"torch.ByteStorage", DType::kU8},
    {"torch.BoolStorage", DType::kBool}, {"torch.float64", DType::kF64}, {"torch.float32", DType::kF32},
    {"torch.float16", DType::kF16}, {"torch.bfloat16", DType::kBF16}, {"torch.int64", DType::kI64}, {"torch.int32", DType::kI32},
    {"torch.int16", DType::kI16}, {"torch.int8", DType::kI8}, {"torch.uint8", DType::kU8}, {"torch.bool", DType::kBool},
    {"torch.uint32", DType::kU32}};
constexpr std::string_view kUntyped = "torch.storage.UntypedStorage";

// The dicts that programs put around weights, in order of preference.
constexpr std::string_view kWrappers[] = {"best_state", "state_dict", "model_state_dict", "model", "module", "net"};

std::string shown(std::string_view text) {
  return brief(nlohmann::json(std::string(text)));
}

// A persistent id: which storage a tensor is a part of.
struct StorageId {
  std::string_view type;  // the global
  std::string_view key;
  int64_t n_elements = 0;  // bytes, of an untyped one
};

// The bytes of storages by key.
using Storages = std::map<std::string, std::span<const std::byte>, std::less<>>;

// Turns the tree of a pickle into tensors.
class TensorReader {
 public:
  TensorReader(const Pickle& pickle, const std::string& where) : pickle_(pickle), where_(where) {}

  // ('storage', type, key, place, count), and in the older form a sixth that is None.
  StorageId storage_id(PickleValue persistent) const {
    const PickleValue id = pickle_.items(persistent)[0];
    const auto items = id.kind == PickleKind::kTuple ? pickle_.items(id) : std::span<const PickleValue>();
    const bool fits = (items.size() == 5 || (items.size() == 6 && items[5].kind == PickleKind::kNone)) &&
                      items[0].kind == PickleKind::kText && pickle_.text(items[0]) == "storage" &&
                      items[1].kind == PickleKind::kGlobal && items[2].kind == PickleKind::kText &&
                      items[4].kind == PickleKind::kInt && items[4].integer >= 0;
    if (!fits) {
      fail(ErrorCode::kInvalidData, "'{}': the persistent id at byte {} of the pickle names no storage", where_,
           pickle_.offset(persistent));
    }
    return {pickle_.text(items[1]), pickle_.text(items[2]), items[4].integer};
  }

  // Bytes that the storage must have. Errors: kUnsupported for a type that is not read.
  int64_t bytes_of(const StorageId& id) const {
    int64_t n_bytes = 0;
    const auto element = id.type == kUntyped ? int64_t{1} : static_cast<int64_t>(size_of(type_named(id.type)));
    if (__builtin_mul_overflow(id.n_elements, element, &n_bytes)) {
      fail(ErrorCode::kInvalidData, "'{}': storage {} of {} elements is larger than any file", where_, shown(id.key), id.n_elements);
    }
    return n_bytes;
  }

  std::vector<TensorInfo> read(const Storages& storages, const std::shared_ptr<const void>& owner, uint64_t copy_budget,
                               bool is_mapped) const {
    std::vector<TensorInfo> tensors;
    std::set<std::string_view> names;
    uint64_t copied = 0;
    const auto items = pickle_.items(find_weights());
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      if (!is_tensor(items[i + 1]) || items[i].kind != PickleKind::kText) continue;
      const std::string_view name = pickle_.text(items[i]);
      if (!names.insert(name).second) fail(ErrorCode::kInvalidData, "'{}' has the tensor {} twice", where_, shown(name));
      if (tensors.size() == kMaxTensors) fail(ErrorCode::kResourceLimit, "'{}' has more than {} tensors", where_, kMaxTensors);
      tensors.push_back(tensor(name, items[i + 1], storages, owner, is_mapped, copied));
      if (copied > copy_budget) {
        fail(ErrorCode::kResourceLimit,
             "'{}': tensors that must be copied into order (transposed views) take more than {} bytes, twice the file; save them with "
             ".contiguous()",
             where_, copy_budget);
      }
    }
    return tensors;
  }

 private:
  struct Parts {
    StorageId storage;
    DType type = DType::kF32;
    StridedView view;
  };

  DType type_named(std::string_view name) const {
    for (const NamedType& known : kTypes) {
      if (known.name == name) return known.type;
    }
    fail(ErrorCode::kUnsupported, "'{}': type {} is not supported; convert it to float32, float16 or bfloat16", where_, shown(name));
  }

  bool is_tensor(PickleValue value) const {
    if (value.kind != PickleKind::kCall) return false;
    const std::string_view name = pickle_.text(pickle_.items(value)[0]);
    return name.find("._rebuild_") != std::string_view::npos;
  }

  bool has_tensors(PickleValue dict) const {
    const auto items = pickle_.items(dict);
    for (size_t i = 1; i < items.size(); i += 2) {
      if (is_tensor(items[i])) return true;
    }
    return false;
  }

  PickleValue find_weights() const {
    PickleValue dict = pickle_.root();
    if (dict.kind != PickleKind::kDict) {
      fail(ErrorCode::kUnsupported, "'{}' holds a {}; expected a dict of tensors, as model.state_dict() gives it", where_,
           to_string(dict.kind));
    }
    for (int depth = 0; depth < kMaxDepth; ++depth) {
      const PickleValue* inner = nullptr;
      for (const std::string_view name : kWrappers) {
        const PickleValue* found = pickle_.find(dict, name);
        if (inner == nullptr && found != nullptr && found->kind == PickleKind::kDict) inner = found;
      }
      if (inner == nullptr) break;
      dict = *inner;
    }
    return has_tensors(dict) ? dict : only_inner(dict);
  }

  // Under a name that is not known: then it must be the only one.
  PickleValue only_inner(PickleValue dict) const {
    const auto items = pickle_.items(dict);
    std::vector<std::string> names;
    PickleValue found;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      if (items[i + 1].kind != PickleKind::kDict || !has_tensors(items[i + 1])) continue;
      found = items[i + 1];
      if (names.size() <= kMaxListed) names.push_back(items[i].kind == PickleKind::kText ? shown(pickle_.text(items[i])) : "(a number)");
    }
    if (names.size() == 1) return found;
    if (names.empty()) fail(ErrorCode::kInvalidData, "'{}' holds no dict of tensors", where_);
    fail(ErrorCode::kInvalidData, "'{}' holds several dicts of tensors ({}); save the one that is meant alone", where_,
         fmt::join(names, ", "));
  }

  TensorInfo tensor(std::string_view name, PickleValue value, const Storages& storages, const std::shared_ptr<const void>& owner,
                    bool is_mapped, uint64_t& copied) const {
    const Parts parts = tensor_parts(name, value);
    TensorInfo info;
    info.name = name;
    info.type = parts.type;
    info.shape = parts.view.shape;
    const auto bytes = storage_bytes(name, parts.storage, storages);
    const size_t element_bytes = size_of(parts.type);
    switch (fit_of(parts.view, static_cast<int64_t>(bytes.size() / element_bytes))) {
      case StridedFit::kInOrder: {
        const auto data = bytes.subspan(static_cast<size_t>(parts.view.offset) * element_bytes, info.n_bytes());
        info.fetch = [data, owner, element_bytes, is_mapped] { return aligned_bytes(data, owner, element_bytes, is_mapped); };
        return info;
      }
      case StridedFit::kMustBeCopied: {
        const size_t n_bytes = info.n_bytes();
        copied += n_bytes;
        info.fetch = [view = parts.view, bytes, owner, element_bytes, n_bytes] {
          const std::shared_ptr<std::byte[]> copy(new std::byte[n_bytes]);
          copy_in_order(view, bytes.data(), element_bytes, copy.get());
          return TensorBytes{{copy.get(), n_bytes}, copy, false};
        };
        return info;
      }
      case StridedFit::kOverlapping:
        fail(ErrorCode::kUnsupported, "'{}': tensor {} shows the same elements several times (it was expanded); save it with .contiguous()",
             where_, shown(name));
      case StridedFit::kOutside: break;
    }
    fail(ErrorCode::kInvalidData, "'{}': tensor {} (sizes [{}], strides [{}], offset {}) reaches beyond its storage of {} elements", where_,
         shown(name), fmt::join(parts.view.shape, ", "), fmt::join(parts.view.strides, ", "), parts.view.offset,
         bytes.size() / element_bytes);
  }

  std::span<const std::byte> storage_bytes(std::string_view name, const StorageId& id, const Storages& storages) const {
    const auto it = storages.find(id.key);
    if (it == storages.end()) {
      fail(ErrorCode::kInvalidData, "'{}': tensor {} lies in storage {}, which the file does not hold", where_, shown(name),
           shown(id.key));
    }
    const int64_t n_bytes = bytes_of(id);
    if (it->second.size() != static_cast<uint64_t>(n_bytes)) {
      fail(ErrorCode::kInvalidData, "'{}': storage {} of tensor {} has {} bytes; expected {}", where_, shown(id.key), shown(name),
           it->second.size(), n_bytes);
    }
    return it->second;
  }

  [[noreturn]] void fail_tensor(std::string_view name, PickleValue value) const {
    fail(ErrorCode::kInvalidData, "'{}': tensor {} is not described as PyTorch does (byte {} of the pickle)", where_, shown(name),
         pickle_.offset(value));
  }

  // Through the calls that only wrap a tensor to the one that makes it.
  Parts tensor_parts(std::string_view name, PickleValue value) const {
    PickleValue arguments_value;
    for (int depth = 0; depth < kMaxDepth && is_tensor(value); ++depth) {
      std::string_view function = pickle_.text(pickle_.items(value)[0]);
      auto arguments = pickle_.items(pickle_.items(value)[1]);
      if (function == "torch._tensor._rebuild_from_type_v2") {  // (function, type, its arguments, attributes)
        const bool fits =
            arguments.size() == 4 && arguments[0].kind == PickleKind::kGlobal && arguments[2].kind == PickleKind::kTuple;
        if (!fits) fail_tensor(name, value);
        function = pickle_.text(arguments[0]);
        arguments = pickle_.items(arguments[2]);
      }
      if (function == "torch._utils._rebuild_parameter") {  // (tensor, requires_grad, hooks)
        if (arguments.size() != 3) fail_tensor(name, value);
        value = arguments[0];
        continue;
      }
      return plain_parts(name, value, function, arguments);
    }
    fail_tensor(name, value);
  }

  // (storage, offset, sizes, strides[, requires_grad, hooks[, dtype of version 3][, metadata]])
  Parts plain_parts(std::string_view name, PickleValue value, std::string_view function, std::span<const PickleValue> arguments) const {
    const bool is_v3 = function == "torch._utils._rebuild_tensor_v3";
    const size_t n_least = function == "torch._utils._rebuild_tensor" ? 4 : is_v3 ? 7 : 6;
    const bool fits = arguments.size() >= n_least && arguments.size() <= n_least + 1 && arguments[0].kind == PickleKind::kPersistent &&
                      arguments[1].kind == PickleKind::kInt;
    if (!fits) fail_tensor(name, value);
    const PickleValue* metadata = arguments.size() > n_least ? &arguments[n_least] : nullptr;
    if (metadata != nullptr && metadata->kind != PickleKind::kNone &&
        (metadata->kind != PickleKind::kDict || !pickle_.items(*metadata).empty())) {
      fail(ErrorCode::kUnsupported, "'{}': tensor {} is conjugated or negated only on paper; save it with .resolve_neg()", where_,
           shown(name));
    }
    Parts parts;
    parts.storage = storage_id(arguments[0]);
    std::string_view type = parts.storage.type;
    if (is_v3) type = arguments[6].kind == PickleKind::kGlobal ? pickle_.text(arguments[6]) : std::string_view();
    parts.type = type_named(type);
    parts.view.offset = arguments[1].integer;
    parts.view.shape = counts(name, arguments[2]);
    parts.view.strides = counts(name, arguments[3]);
    if (parts.view.shape.size() != parts.view.strides.size() || parts.view.shape.size() > kMaxDimensions) fail_tensor(name, value);
    return parts;
  }

  std::vector<int64_t> counts(std::string_view name, PickleValue value) const {
    std::vector<int64_t> counts;
    if (value.kind != PickleKind::kTuple || pickle_.items(value).size() > kMaxDimensions) fail_tensor(name, value);
    for (const PickleValue item : pickle_.items(value)) {
      if (item.kind != PickleKind::kInt) fail_tensor(name, value);
      counts.push_back(item.integer);
    }
    return counts;
  }

  const Pickle& pickle_;
  const std::string& where_;
};

// ---- the zip form

// Entries below the archive's own name, by what follows it.
class Archive {
 public:
  Archive(std::span<const std::byte> bytes, const std::string& where) : where_(where) {
    std::string_view folder;
    for (const ZipEntry& entry : read_zip(bytes, where)) {
      const size_t slash = entry.name.find('/');
      if (slash == std::string_view::npos) continue;
      if (folder.empty()) folder = entry.name.substr(0, slash);
      if (entry.name.substr(0, slash) == folder) entries_.emplace(entry.name.substr(slash + 1), entry);
    }
  }

  // nullptr when there is none.
  const ZipEntry* find(std::string_view name) const {
    const auto it = entries_.find(name);
    return it == entries_.end() ? nullptr : &it->second;
  }

  std::span<const std::byte> pickle() const {
    const ZipEntry* entry = find("data.pkl");
    if (entry == nullptr) fail(ErrorCode::kInvalidData, "'{}' is a zip archive without data.pkl, so no PyTorch file", where_);
    if (entry->data.size() > kMaxPickleBytes) {
      fail(ErrorCode::kResourceLimit, "'{}': data.pkl has {} bytes; at most {} are read", where_, entry->data.size(), kMaxPickleBytes);
    }
    // torch.save can be told to compute no check values; it leaves them 0 then.
    if (entry->crc != 0 && zip_crc32(entry->data) != entry->crc) {
      fail(ErrorCode::kInvalidData, "'{}': data.pkl does not match its check value; the file is damaged", where_);
    }
    return entry->data;
  }

  Storages storages() const {
    constexpr std::string_view kFolder = "data/";
    Storages storages;
    for (const auto& [name, entry] : entries_) {
      if (name.substr(0, kFolder.size()) == kFolder) storages.emplace(name.substr(kFolder.size()), entry.data);
    }
    return storages;
  }

 private:
  std::string where_;
  std::map<std::string, ZipEntry, std::less<>> entries_;
};

std::vector<TensorInfo> read_archive(std::span<const std::byte> bytes, const std::shared_ptr<const void>& owner, const std::string& where,
                                     bool is_mapped) {
  const Archive archive(bytes, where);
  const ZipEntry* order = archive.find("byteorder");
  if (order != nullptr) {
    const std::string_view text(reinterpret_cast<const char*>(order->data.data()), order->data.size());
    if (text != "little") fail(ErrorCode::kUnsupported, "'{}' has byte order {}; only little-endian files are read", where, shown(text));
  }
  const std::string pickle_where = where + " (data.pkl)";
  const Pickle pickle = Pickle::parse(archive.pickle(), 0, kGlobals, pickle_where);
  return TensorReader(pickle, where).read(archive.storages(), owner, 2 * uint64_t{bytes.size()}, is_mapped);
}

// ---- the form of before 1.6

class LegacyFile {
 public:
  LegacyFile(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::vector<TensorInfo> read(const std::shared_ptr<const void>& owner, bool is_mapped) {
    const Pickle magic = next();
    if (magic.root().kind != PickleKind::kBigInt || magic.text(magic.root()) != kMagicBytes) {
      fail(ErrorCode::kInvalidData, "'{}' is a pickle, but not one that torch.save wrote", where_);
    }
    const Pickle version = next();
    if (version.root().kind != PickleKind::kInt || version.root().integer != kLegacyVersion) {
      fail(ErrorCode::kUnsupported, "'{}' is of another version than {} of the older form; save it again", where_, kLegacyVersion);
    }
    check_machine(next());
    const Pickle object = next();
    const TensorReader reader(object, where_);
    const Pickle keys = next();
    const Storages storages = find_storages(object, reader, keys);
    return reader.read(storages, owner, 2 * uint64_t{bytes_.size()}, is_mapped);
  }

 private:
  Pickle next() {
    const auto within = bytes_.first(static_cast<size_t>(std::min<uint64_t>(bytes_.size(), at_ + kMaxPickleBytes)));
    Pickle pickle = Pickle::parse(within, at_, kGlobals, where_);
    at_ = pickle.end();
    return pickle;
  }

  void check_machine(const Pickle& machine) const {
    const PickleValue* little = machine.root().kind == PickleKind::kDict ? machine.find(machine.root(), "little_endian") : nullptr;
    if (little == nullptr) fail(ErrorCode::kInvalidData, "'{}' does not say which machine wrote it; it is damaged", where_);
    if (little->kind != PickleKind::kBool || little->integer != 1) {
      fail(ErrorCode::kUnsupported, "'{}' was written on a big-endian machine; only little-endian files are read", where_);
    }
  }

  // The sizes of all storages are in the object; here they follow each other in the order of the keys.
  Storages find_storages(const Pickle& object, const TensorReader& reader, const Pickle& keys) {
    std::map<std::string_view, StorageId> ids;
    for (const PickleValue persistent : object.persistent()) {
      const StorageId id = reader.storage_id(persistent);
      ids.emplace(id.key, id);
    }
    if (keys.root().kind != PickleKind::kList) fail(ErrorCode::kInvalidData, "'{}' has no list of its storages", where_);
    Storages storages;
    for (const PickleValue key : keys.items(keys.root())) {
      const auto it = key.kind == PickleKind::kText ? ids.find(keys.text(key)) : ids.end();
      if (it == ids.end()) fail(ErrorCode::kInvalidData, "'{}' has a storage that nothing in it uses, so that its size is unknown", where_);
      const auto n_bytes = static_cast<uint64_t>(reader.bytes_of(it->second));
      const uint64_t rest = bytes_.size() - at_;
      if (rest < kLegacyCountBytes || n_bytes > rest - kLegacyCountBytes) {
        fail(ErrorCode::kInvalidData, "'{}' ends within storage {}: the file is truncated or damaged", where_, shown(it->first));
      }
      uint64_t n_elements = 0;
      for (size_t i = 0; i < kLegacyCountBytes; ++i) n_elements |= std::to_integer<uint64_t>(bytes_[at_ + i]) << (8 * i);
      if (n_elements != static_cast<uint64_t>(it->second.n_elements)) {
        fail(ErrorCode::kInvalidData, "'{}': storage {} has {} elements; expected {}", where_, shown(it->first), n_elements,
             it->second.n_elements);
      }
      if (!storages.emplace(it->first, bytes_.subspan(at_ + kLegacyCountBytes, static_cast<size_t>(n_bytes))).second) {
        fail(ErrorCode::kInvalidData, "'{}' has the storage {} twice", where_, shown(it->first));
      }
      at_ += kLegacyCountBytes + static_cast<size_t>(n_bytes);
    }
    if (at_ != bytes_.size()) {
      fail(ErrorCode::kInvalidData, "'{}': {} bytes after the last storage belong to none", where_, bytes_.size() - at_);
    }
    return storages;
  }

  std::span<const std::byte> bytes_;
  const std::string& where_;
  size_t at_ = 0;
};

std::vector<TensorInfo> read_bytes(std::span<const std::byte> bytes, const std::shared_ptr<const void>& owner, const std::string& where,
                                   bool is_mapped) {
  if (has_zip_magic(bytes)) return read_archive(bytes, owner, where, is_mapped);
  constexpr std::byte kProtocolOperation{0x80};
  if (bytes.empty() || bytes[0] != kProtocolOperation) {
    fail(ErrorCode::kInvalidData, "'{}' is not a PyTorch file: it begins neither as a zip archive nor as a pickle", where);
  }
  return LegacyFile(bytes, where).read(owner, is_mapped);
}

}  // namespace

bool is_pytorch_name(std::string_view name) {
  for (const std::string_view ending : {".pt", ".pth", ".bin", ".ckpt"}) {
    if (name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending) return true;
  }
  return false;
}

std::vector<TensorInfo> read_pytorch(const std::string& path) {
  const auto file = MappedFile::open(path);
  return read_bytes(file->bytes(), file, path, true);
}

std::vector<TensorInfo> read_pytorch_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, const std::string& where) {
  return read_bytes(bytes, owner, where, false);
}

}  // namespace csm
