#include "io/pickle.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <unordered_map>

#include "base/fail.h"
#include "io/json.h"

namespace csm {
namespace {

constexpr size_t kMaxNodes = size_t{1} << 20;   // some twenty a tensor
constexpr size_t kMaxValues = size_t{1} << 22;  // ever pushed
constexpr int kMaxProtocol = 5;
constexpr std::string_view kOrderedDict = "collections.OrderedDict";

// The operations of the format that are read.
enum Op : unsigned char {
  kMark = '(', kStop = '.', kPop = '0', kPopMark = '1', kDup = '2', kFloatText = 'F', kIntText = 'I', kLongText = 'L', kBinInt = 'J',
  kBinInt1 = 'K', kBinInt2 = 'M', kNone = 'N', kPersIdText = 'P', kBinPersId = 'Q', kReduce = 'R', kStringText = 'S',
  kBinString = 'T', kShortBinString = 'U', kUnicodeText = 'V', kBinUnicode = 'X', kAppend = 'a', kBuild = 'b', kGlobal = 'c', kDict = 'd',
  kEmptyDict = '}', kAppends = 'e', kGetText = 'g', kBinGet = 'h', kInst = 'i', kLongBinGet = 'j', kList = 'l', kEmptyList = ']',
  kObj = 'o', kPutText = 'p', kBinPut = 'q', kLongBinPut = 'r', kSetItem = 's', kTuple = 't', kEmptyTuple = ')', kSetItems = 'u',
  kBinFloat = 'G', kProto = 0x80, kNewObj = 0x81, kExt1 = 0x82, kExt2 = 0x83, kExt4 = 0x84, kTuple1 = 0x85, kTuple2 = 0x86,
  kTuple3 = 0x87, kNewTrue = 0x88, kNewFalse = 0x89, kLong1 = 0x8a, kLong4 = 0x8b, kBinBytes = 'B', kShortBinBytes = 'C',
  kShortBinUnicode = 0x8c, kBinUnicode8 = 0x8d, kBinBytes8 = 0x8e, kNewObjEx = 0x92, kStackGlobal = 0x93, kMemoize = 0x94,
  kFrame = 0x95, kByteArray8 = 0x96,
};

std::string shown(std::string_view text) {
  return brief(nlohmann::json(std::string(text)));
}

bool holds_node(PickleKind kind) {
  return kind == PickleKind::kBigInt || kind >= PickleKind::kText;
}

}  // namespace

const char* to_string(PickleKind kind) {
  constexpr const char* kNames[] = {"None",  "bool", "int",  "large int", "float",  "text",         "bytes",
                                    "tuple", "list", "dict", "global",    "object", "persistent id"};
  return kNames[static_cast<size_t>(kind)];
}

size_t Pickle::offset(PickleValue value) const { return holds_node(value.kind) ? nodes_[value.node].offset : 0; }

const PickleValue* Pickle::find(PickleValue dict, std::string_view key) const {
  const PickleValue* found = nullptr;
  const std::vector<PickleValue>& items = nodes_[dict.node].items;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].kind == PickleKind::kText && text(items[i]) == key) found = &items[i + 1];
  }
  return found;
}

// The stack machine. One pass over the bytes; each operation costs at most what its bytes explain.
class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, size_t begin, std::span<const std::string_view> globals, const std::string& where)
      : bytes_(bytes), globals_(globals), where_(where), at_(begin) {}

  Pickle run() {
    for (;;) {
      op_at_ = at_;
      const auto op = static_cast<unsigned char>(number(1));
      if (op == kStop) break;
      if (!push_plain(op) && !push_text(op) && !build(op) && !use_memo(op)) refuse(op);
    }
    if (stack_.size() != 1 || !marks_.empty()) damaged("ends with an untidy stack");
    result_.root_ = stack_.back();
    result_.end_ = at_;
    return std::move(result_);
  }

 private:
  [[noreturn]] void damaged(std::string_view what) const {
    fail(ErrorCode::kInvalidData, "'{}': the pickle {} at byte {}; it is damaged, or no pickle", where_, what, op_at_);
  }

  [[noreturn]] void refuse(unsigned char op) const {
    switch (op) {
      case kInst: case kObj: case kNewObj: case kNewObjEx: case kExt1: case kExt2: case kExt4: case kBuild:
        fail(ErrorCode::kUnsupported,
             "'{}': the pickle makes an object of another kind than tensors at byte {} (operation 0x{:02x}); nothing of it is run: save "
             "the tensors alone, as model.state_dict()",
             where_, op_at_, op);
      default:
        fail(ErrorCode::kInvalidData, "'{}': the pickle has an unknown operation 0x{:02x} at byte {}; it is damaged, or no pickle",
             where_, op, op_at_);
    }
  }

  // ---- bytes

  std::string_view take(uint64_t n) {
    if (n > bytes_.size() - at_) damaged("is cut short");
    const std::string_view view(reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<size_t>(n));
    at_ += static_cast<size_t>(n);
    return view;
  }

  uint64_t number(int n_bytes) {
    uint64_t value = 0;
    int shift = 0;
    for (const char c : take(static_cast<uint64_t>(n_bytes))) {
      value |= uint64_t{static_cast<unsigned char>(c)} << shift;
      shift += 8;
    }
    return value;
  }

  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
    const size_t n = rest.find('\n');
    if (n == std::string_view::npos) damaged("is cut short");
    at_ += n + 1;
    return rest.substr(0, n);
  }

  int64_t decimal(std::string_view text) const {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) damaged("has a bad number");
    return value;
  }

  // ---- stack

  void count_values(size_t n) {
    n_values_ += n;
    if (n_values_ <= kMaxValues) return;
    fail(ErrorCode::kResourceLimit, "'{}': the pickle holds more than {} values (byte {}); save the tensors alone", where_, kMaxValues,
         op_at_);
  }
  void push(PickleValue value) {
    count_values(1);
    stack_.push_back(value);
  }
  void push(PickleKind kind, int64_t integer) {
    PickleValue value;
    value.kind = kind;
    value.integer = integer;
    push(value);
  }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  PickleValue pop() {
    if (stack_.size() <= floor()) damaged("takes from an empty stack");
    const PickleValue value = stack_.back();
    stack_.pop_back();
    return value;
  }

  PickleValue& top() {
    if (stack_.size() <= floor()) damaged("takes from an empty stack");
    return stack_.back();
  }

  // Everything above the last mark, and the mark.
  std::vector<PickleValue> pop_to_mark() {
    if (marks_.empty()) damaged("takes to a mark that is not there");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleValue> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  PickleValue make(PickleKind kind, std::string_view text, std::vector<PickleValue> items = {}) {
    if (result_.nodes_.size() >= kMaxNodes) {
      fail(ErrorCode::kResourceLimit, "'{}': the pickle holds more than {} objects (byte {}); save the tensors alone", where_, kMaxNodes,
           op_at_);
    }
    PickleValue value;
    value.kind = kind;
    value.node = static_cast<uint32_t>(result_.nodes_.size());
    result_.nodes_.push_back({op_at_, text, std::move(items)});
    return value;
  }

  void push_tuple(size_t n) {
    std::vector<PickleValue> items(n);
    for (size_t i = n; i-- > 0;) items[i] = pop();
    push(make(PickleKind::kTuple, {}, std::move(items)));
  }

  // ---- operations; each group says whether the operation is one of its own

  bool push_plain(unsigned char op) {
    switch (op) {
      case kProto:
        if (number(1) > kMaxProtocol) damaged("is of a protocol above 5");
        return true;
      case kFrame:
        if (const uint64_t n = number(8); n > bytes_.size() - at_) damaged("has a frame longer than itself");
        return true;
      case kMark: marks_.push_back(stack_.size()); return check_marks();
      case kNone: push({}); return true;
      case kNewTrue: push(PickleKind::kBool, 1); return true;
      case kNewFalse: push(PickleKind::kBool, 0); return true;
      case kBinInt: push(PickleKind::kInt, static_cast<int32_t>(number(4))); return true;
      case kBinInt1: push(PickleKind::kInt, static_cast<int64_t>(number(1))); return true;
      case kBinInt2: push(PickleKind::kInt, static_cast<int64_t>(number(2))); return true;
      case kLong1: push_long(take(number(1))); return true;
      case kLong4: push_long(take(number(4))); return true;
      case kIntText: push_int_text(line()); return true;
      case kLongText: push_long_text(line()); return true;
      case kBinFloat: push_float(std::bit_cast<double>(__builtin_bswap64(number(8)))); return true;
      case kFloatText: push_float_text(line()); return true;
      default: return false;
    }
  }

  bool check_marks() const {
    if (marks_.size() > kMaxValues) fail(ErrorCode::kResourceLimit, "'{}': the pickle opens more than {} groups", where_, kMaxValues);
    return true;
  }

  void push_float(double number) {
    PickleValue value;
    value.kind = PickleKind::kFloat;
    value.number = number;
    push(value);
  }

  void push_float_text(std::string_view text) {
    const std::string copy(text);
    char* end = nullptr;
    const double value = std::strtod(copy.c_str(), &end);
    if (copy.empty() || end != copy.c_str() + copy.size()) damaged("has a bad number");
    push_float(value);
  }

  // Two's complement, least byte first.
  void push_long(std::string_view bytes) {
    if (bytes.size() > 8) {
      push(make(PickleKind::kBigInt, bytes));
      return;
    }
    uint64_t value = !bytes.empty() && (bytes.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    push(PickleKind::kInt, static_cast<int64_t>(value));
  }

  void push_int_text(std::string_view text) {
    if (text == "00" || text == "01") return push(PickleKind::kBool, text == "01" ? 1 : 0);
    push(PickleKind::kInt, decimal(text));
  }

  void push_long_text(std::string_view text) {
    if (!text.empty() && text.back() == 'L') text.remove_suffix(1);
    push(PickleKind::kInt, decimal(text));
  }

  bool push_text(unsigned char op) {
    switch (op) {
      case kBinString: push(make(PickleKind::kText, take(number(4)))); return true;
      case kShortBinString: push(make(PickleKind::kText, take(number(1)))); return true;
      case kBinUnicode: push(make(PickleKind::kText, take(number(4)))); return true;
      case kShortBinUnicode: push(make(PickleKind::kText, take(number(1)))); return true;
      case kBinUnicode8: push(make(PickleKind::kText, take(number(8)))); return true;
      case kUnicodeText: push(make(PickleKind::kText, unescaped(line()))); return true;
      case kStringText: push(make(PickleKind::kText, unescaped(unquoted(line())))); return true;
      case kBinBytes: push(make(PickleKind::kBytes, take(number(4)))); return true;
      case kShortBinBytes: push(make(PickleKind::kBytes, take(number(1)))); return true;
      case kBinBytes8: case kByteArray8: push(make(PickleKind::kBytes, take(number(8)))); return true;
      case kGlobal: {
        const std::string_view module = line();
        push_global(module, line());
        return true;
      }
      case kStackGlobal: {
        const PickleValue name = pop();
        const PickleValue module = pop();
        if (name.kind != PickleKind::kText || module.kind != PickleKind::kText) damaged("has a global whose name is no text");
        push_global(result_.text(module), result_.text(name));
        return true;
      }
      default: return false;
    }
  }

  std::string_view unquoted(std::string_view text) const {
    const bool is_quoted = text.size() >= 2 && text.front() == text.back() && (text.front() == '\'' || text.front() == '"');
    if (!is_quoted) damaged("has a text without quotation marks");
    return text.substr(1, text.size() - 2);
  }

  // Texts are views, so those of protocol 0 that need another spelling are not read.
  std::string_view unescaped(std::string_view text) const {
    if (text.find('\\') == std::string_view::npos) return text;
    fail(ErrorCode::kUnsupported, "'{}': the pickle has a text with escapes at byte {}, as protocol 0 writes it; save with protocol 2",
         where_, op_at_);
  }

  void push_global(std::string_view module, std::string_view name) {
    const std::string full = fmt::format("{}.{}", module, name);
    const auto known = std::find(globals_.begin(), globals_.end(), full);
    if (known == globals_.end()) {
      fail(ErrorCode::kUnsupported,
           "'{}': the pickle asks for {} at byte {}, which has no place in a file of weights; nothing of it is run. If you trust the file, "
           "load it in Python and save the tensors alone, as model.state_dict()",
           where_, shown(full), op_at_);
    }
    push(make(PickleKind::kGlobal, *known));
  }

  bool build(unsigned char op) {
    switch (op) {
      case kEmptyTuple: push_tuple(0); return true;
      case kTuple1: push_tuple(1); return true;
      case kTuple2: push_tuple(2); return true;
      case kTuple3: push_tuple(3); return true;
      case kTuple: push_group(PickleKind::kTuple); return true;
      case kEmptyList: push(make(PickleKind::kList, {})); return true;
      case kList: push_group(PickleKind::kList); return true;
      case kEmptyDict: push(make(PickleKind::kDict, {})); return true;
      case kDict: push_group(PickleKind::kDict); return true;
      case kAppend: {
        const PickleValue item = pop();
        extend(PickleKind::kList, {&item, 1});
        return true;
      }
      case kAppends: extend(PickleKind::kList, pop_to_mark()); return true;
      case kSetItem: {
        PickleValue pair[2];
        pair[1] = pop();
        pair[0] = pop();
        extend(PickleKind::kDict, pair);
        return true;
      }
      case kSetItems: extend(PickleKind::kDict, pop_to_mark()); return true;
      case kPop: (void)pop(); return true;
      case kPopMark: (void)pop_to_mark(); return true;
      case kDup: push(top()); return true;
      case kReduce: call(); return true;
      case kBinPersId: push_persistent(pop()); return true;
      case kPersIdText: push_persistent(make(PickleKind::kText, line())); return true;
      case kBuild: return set_state();
      default: return false;
    }
  }

  void push_persistent(PickleValue id) {
    push(make(PickleKind::kPersistent, {}, {id}));
    result_.persistent_.push_back(stack_.back());
  }

  void push_group(PickleKind kind) {
    std::vector<PickleValue> items = pop_to_mark();
    if (kind == PickleKind::kDict && items.size() % 2 != 0) damaged("has a dict with a key without value");
    push(make(kind, {}, std::move(items)));
  }

  void extend(PickleKind kind, std::span<const PickleValue> more) {
    const PickleValue target = top();
    if (target.kind != kind) damaged("adds to something that is neither list nor dict");
    if (kind == PickleKind::kDict && more.size() % 2 != 0) damaged("has a dict with a key without value");
    std::vector<PickleValue>& items = result_.nodes_[target.node].items;
    items.insert(items.end(), more.begin(), more.end());
  }

  // A call of a listed function becomes a node. OrderedDict is made here, since what follows fills it.
  void call() {
    const PickleValue arguments = pop();
    const PickleValue function = pop();
    if (function.kind != PickleKind::kGlobal || arguments.kind != PickleKind::kTuple) {
      fail(ErrorCode::kUnsupported, "'{}': the pickle calls a {} with a {} at byte {}; nothing of it is run", where_,
           to_string(function.kind), to_string(arguments.kind), op_at_);
    }
    if (result_.text(function) != kOrderedDict) return push(make(PickleKind::kCall, {}, {function, arguments}));
    push(make(PickleKind::kDict, {}, ordered_dict_items(result_.items(arguments))));
  }

  // Empty, or one list of pairs, as Python 2 writes it.
  std::vector<PickleValue> ordered_dict_items(std::span<const PickleValue> arguments) {
    std::vector<PickleValue> items;
    if (arguments.empty()) return items;
    if (arguments.size() != 1 || arguments[0].kind != PickleKind::kList) damaged("makes an OrderedDict of something else than pairs");
    count_values(2 * result_.items(arguments[0]).size());  // the same list may be named again and again
    for (const PickleValue pair : result_.items(arguments[0])) {
      const bool is_pair = (pair.kind == PickleKind::kList || pair.kind == PickleKind::kTuple) && result_.items(pair).size() == 2;
      if (!is_pair) damaged("makes an OrderedDict of something else than pairs");
      items.insert(items.end(), result_.items(pair).begin(), result_.items(pair).end());
    }
    return items;
  }

  // The attributes of an OrderedDict (a state dict has versions there) are of no use; those of anything else are refused.
  bool set_state() {
    const PickleValue state = pop();
    if (top().kind != PickleKind::kDict || state.kind != PickleKind::kDict) refuse(kBuild);
    return true;
  }

  bool use_memo(unsigned char op) {
    switch (op) {
      case kPutText: put(static_cast<uint64_t>(decimal(line()))); return true;
      case kBinPut: put(number(1)); return true;
      case kLongBinPut: put(number(4)); return true;
      case kMemoize: put(memo_.size()); return true;
      case kGetText: get(static_cast<uint64_t>(decimal(line()))); return true;
      case kBinGet: get(number(1)); return true;
      case kLongBinGet: get(number(4)); return true;
      default: return false;
    }
  }

  void put(uint64_t key) {
    if (memo_.size() > kMaxValues) fail(ErrorCode::kResourceLimit, "'{}': the pickle remembers more than {} values", where_, kMaxValues);
    memo_[key] = top();
  }

  void get(uint64_t key) {
    const auto it = memo_.find(key);
    if (it == memo_.end()) damaged("asks for something that it never remembered");
    push(it->second);
  }

  std::span<const std::byte> bytes_;
  std::span<const std::string_view> globals_;
  const std::string& where_;
  Pickle result_;
  std::vector<PickleValue> stack_;
  std::vector<size_t> marks_;  // the stack's size at each
  std::unordered_map<uint64_t, PickleValue> memo_;
  size_t at_;
  size_t op_at_ = 0;
  size_t n_values_ = 0;
};

Pickle Pickle::parse(std::span<const std::byte> bytes, size_t begin, std::span<const std::string_view> globals,
                     const std::string& where) {
  return PickleMachine(bytes, begin, globals, where).run();
}

}  // namespace csm
