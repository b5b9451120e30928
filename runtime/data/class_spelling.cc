// Characters are decomposed as in Unicode's form NFD (Unicode Standard Annex 15).
#include "class_spelling.h"

#include <algorithm>
#include <cstddef>
#include <unordered_map>
#include <utility>

#include "list_file.h"

namespace moproc::data {
namespace {

/// The characters that end with one combining mark, as pairs: what stays without the mark, and the character.
struct Marked {
  char32_t mark;
  const char* pairs;
};

constexpr Marked marked[] = {
    {0x0300,
     "AÀEÈIÌOÒUÙaàeèiìoòuùÜǛüǜNǸnǹЕЀИЍеѐиѝĒḔēḕŌṐōṑWẀwẁÂẦâầĂẰăằÊỀêềÔỒôồ"
     "ƠỜơờƯỪưừYỲyỳ"},
    {0x0301,
     "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzźÜǗüǘGǴgǵÅǺåǻÆǼæǽ"
     "ØǾøǿ¨΅ΑΆΕΈΗΉΙΊΟΌΥΎΩΏϊΐαάεέηήιίϋΰοόυύωώϒϓГЃКЌгѓкќÇḈçḉĒḖēḗÏḮïḯKḰkḱ"
     "MḾmḿÕṌõṍŌṒōṓPṔpṕŨṸũṹWẂwẃÂẤâấĂẮăắÊẾêếÔỐôốƠỚơớƯỨưứ"},
    {0x0302, "AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷZẐzẑẠẬạậẸỆẹệỌỘọộ"},
    {0x0303, "AÃNÑOÕaãnñoõIĨiĩUŨuũVṼvṽÂẪâẫĂẴăẵEẼeẽÊỄêễÔỖôỗƠỠơỡƯỮưữYỸyỹ"},
    {0x0304,
     "AĀaāEĒeēIĪiīOŌoōUŪuūÜǕüǖÄǞäǟȦǠȧǡÆǢæǣǪǬǫǭÖȪöȫÕȬõȭȮȰȯȱYȲyȳИӢиӣУӮуӯ"
     "GḠgḡḶḸḷḹṚṜṛṝ"},
    {0x0306, "AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭУЎИЙийуўЖӁжӂАӐаӑЕӖеӗȨḜȩḝẠẶạặ"},
    {0x0307,
     "CĊcċEĖeėGĠgġIİZŻzżAȦaȧOȮoȯBḂbḃDḊdḋFḞfḟHḢhḣMṀmṁNṄnṅPṖpṗRṘrṙSṠsṡŚṤ"
     "śṥŠṦšṧṢṨṣṩTṪtṫWẆwẇXẊxẋYẎyẏſẛ"},
    {0x0308,
     "AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸΙΪΥΫιϊυϋϒϔЕЁІЇеёіїАӒаӓӘӚәӛЖӜжӝЗӞзӟИӤиӥОӦ"
     "оӧӨӪөӫЭӬэӭУӰуӱЧӴчӵЫӸыӹHḦhḧÕṎõṏŪṺūṻWẄwẅXẌxẍtẗ"},
    {0x0309, "AẢaảÂẨâẩĂẲăẳEẺeẻÊỂêểIỈiỉOỎoỏÔỔôổƠỞơởUỦuủƯỬưửYỶyỷ"},
    {0x030a, "AÅaåUŮuůwẘyẙ"},
    {0x030b, "OŐoőUŰuűУӲуӳ"},
    {0x030c,
     "CČcčDĎdďEĚeěLĽlľNŇnňRŘrřSŠsšTŤtťZŽzžAǍaǎIǏiǐOǑoǒUǓuǔÜǙüǚGǦgǧKǨkǩ"
     "ƷǮʒǯjǰHȞhȟ"},
    {0x030f, "AȀaȁEȄeȅIȈiȉOȌoȍRȐrȑUȔuȕѴѶѵѷ"},
    {0x0311, "AȂaȃEȆeȇIȊiȋOȎoȏRȒrȓUȖuȗ"},
    {0x031b, "OƠoơUƯuư"},
    {0x0323,
     "BḄbḅDḌdḍHḤhḥKḲkḳLḶlḷMṂmṃNṆnṇRṚrṛSṢsṣTṬtṭVṾvṿWẈwẉZẒzẓAẠaạEẸeẹIỊiị"
     "OỌoọƠỢơợUỤuụƯỰưựYỴyỵ"},
    {0x0324, "UṲuṳ"},
    {0x0325, "AḀaḁ"},
    {0x0326, "SȘsșTȚtț"},
    {0x0327, "CÇcçGĢgģKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţEȨeȩDḐdḑHḨhḩ"},
    {0x0328, "AĄaąEĘeęIĮiįUŲuųOǪoǫ"},
    {0x032d, "DḒdḓEḘeḙLḼlḽNṊnṋTṰtṱUṶuṷ"},
    {0x032e, "HḪhḫ"},
    {0x0330, "EḚeḛIḬiḭUṴuṵ"},
    {0x0331, "BḆbḇDḎdḏKḴkḵLḺlḻNṈnṉRṞrṟTṮtṯZẔzẕhẖ"},
    {0x3099,
     "かがきぎくぐけげこごさざしじすずせぜそぞただちぢつづてでとどはばひびふぶへべほぼうゔゝゞカガキギクグケゲコゴサザ"
     "シジスズセゼソゾ"
     "タダチヂツヅテデトドハバヒビフブヘベホボウヴワヷヰヸヱヹヲヺヽヾ"},
    {0x309a, "はぱひぴふぷへぺほぽハパヒピフプヘペホポ"},
};

/// The code points of UTF-8. A byte that is none of UTF-8 becomes one above all code points.
std::u32string points_of(std::string_view text) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char first = byte(i);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xc2 ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf5 ? 4
                                              : 0;
    char32_t point = length < 2 ? first : first & (0x7fu >> length);
    bool valid = length > 0 && i + length <= text.size();
    for (std::size_t k = 1; valid && k < length; ++k) {
      valid = (byte(i + k) & 0xc0) == 0x80;
      point = point << 6 | (byte(i + k) & 0x3f);
    }
    out += valid ? point : 0x110000 + first;
    i += valid ? length : 1;
  }
  return out;
}

using Decompositions = std::unordered_map<char32_t, std::pair<char32_t, char32_t>>;

const Decompositions& parts_of_characters() {
  static const Decompositions parts = [] {
    Decompositions all;
    for (const Marked& m : marked) {
      const std::u32string pairs = points_of(m.pairs);
      for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) all[pairs[i + 1]] = {pairs[i], m.mark};
    }
    return all;
  }();
  return parts;
}

bool is_mark(char32_t c) { return (c >= 0x300 && c < 0x370) || c == 0x3099 || c == 0x309a; }

void decompose(char32_t c, std::u32string& out) {
  constexpr char32_t kFirst = 0xac00, kVowels = 21, kTails = 28, kSyllables = 19 * kVowels * kTails;  // of Hangul
  if (c >= kFirst && c < kFirst + kSyllables) {
    const char32_t i = c - kFirst;
    out += 0x1100 + i / (kVowels * kTails);
    out += 0x1161 + i / kTails % kVowels;
    if (i % kTails > 0) out += 0x11a7 + i % kTails;
    return;
  }
  const auto found = parts_of_characters().find(c);
  if (found == parts_of_characters().end()) {
    out += c;
    return;
  }
  decompose(found->second.first, out);
  out += found->second.second;
}

/// The text decomposed. Marks of one letter are sorted, because their order may differ.
std::u32string decomposed(const std::u32string& text) {
  std::u32string out;
  for (const char32_t c : text) decompose(c, out);
  for (auto at = out.begin(); at != out.end();) {
    at = std::find_if(at, out.end(), is_mark);
    const auto end = std::find_if_not(at, out.end(), is_mark);
    std::sort(at, end);
    at = end;
  }
  return out;
}

/// A letter without an accent in lower case.
char32_t lower(char32_t c) {
  if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7)) return c + 0x20;
  if ((c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f)) return c + 0x20;  // Greek, Cyrillic
  if (c >= 0x400 && c <= 0x40f) return c + 0x50;
  const bool even = (c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x4bf);
  const bool odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e);
  return (even && c % 2 == 0) || (odd && c % 2 == 1) ? c + 1 : c;
}

bool is_space(char32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 || (c >= 0x2000 && c <= 0x200b) || c == 0x202f ||
         c == 0x3000 || c == 0xfeff;
}

std::u32string without_space_around(const std::u32string& text) {
  const auto from = std::find_if_not(text.begin(), text.end(), is_space);
  const auto end = std::find_if_not(text.rbegin(), text.rend(), is_space).base();
  return from < end ? std::u32string(from, end) : std::u32string();
}

std::u32string folded(std::string_view name) {
  std::u32string text = decomposed(without_space_around(points_of(name)));
  std::ranges::transform(text, text.begin(), lower);
  return text;
}

/// A key of the text. The bytes need not be UTF-8.
std::string bytes_of(const std::u32string& text) {
  std::string out;
  for (const char32_t c : text)
    for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(c >> shift);
  return out;
}

/// In what two names of one spelling differ; the first thing that explains it.
const char* difference(std::string_view a, std::string_view b) {
  const std::u32string first = without_space_around(points_of(a)), second = without_space_around(points_of(b));
  if (first == second) return "space";
  return decomposed(first) == decomposed(second) ? "Unicode normal form" : "case";
}

}  // namespace

std::string spelling_of(std::string_view name) { return bytes_of(folded(name)); }

std::vector<std::string> alike_classes(const ClassTable& classes) {
  std::unordered_map<std::string, std::size_t> first;
  std::vector<std::string> alike;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const auto [at, fresh] = first.emplace(spelling_of(classes.name(i)), i);
    if (fresh) continue;
    const std::string &one = classes.name(at->second), &other = classes.name(i);
    alike.push_back(quoted(one) + " and " + quoted(other) + " (" + difference(one, other) + ")");
  }
  return alike;
}

std::string did_you_mean(const ClassTable& classes, std::string_view name) {
  const auto plain = [](std::string_view text) {
    std::u32string out = folded(text);
    std::erase_if(out, is_space);
    return out;
  };
  const std::u32string wanted = plain(name);
  for (std::size_t i = 0; i < classes.size(); ++i)
    if (plain(classes.name(i)) == wanted) return "; did you mean " + quoted(classes.name(i)) + "?";
  return "";
}

}  // namespace moproc::data
