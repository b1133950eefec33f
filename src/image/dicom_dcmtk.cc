/* DICOM data sets by DCMTK: the only C++ of pulmo. No exception leaves it, and DCMTK's log, which
 * would go to stderr, ends here: its first complaint while pixels are decoded becomes the reason
 * for which a file is refused. */
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include "dcmtk/config/osconfig.h"
#include "dcmtk/dcmdata/dcdatset.h"
#include "dcmtk/dcmdata/dcdeftag.h"
#include "dcmtk/dcmdata/dcdict.h"
#include "dcmtk/dcmdata/dcistrmb.h"
#include "dcmtk/dcmdata/dcpixel.h"
#include "dcmtk/dcmdata/dcrledrg.h"
#include "dcmtk/dcmdata/dcspchrs.h"
#include "dcmtk/dcmdata/dcuid.h"
#include "dcmtk/dcmdata/dcxfer.h"
#include "dcmtk/dcmjpeg/djdecode.h"
#include "dcmtk/dcmjpls/djdecode.h"
#include "dcmtk/oflog/appender.h"
#include "dcmtk/oflog/loglevel.h"
#include "dcmtk/oflog/oflog.h"
#include "dcmtk/oflog/spi/logevent.h"

#include "dicom_set.h"

struct dicom_set {
    DcmDataset data;
};

namespace
{

/* ---- DCMTK's log ---- */

thread_local bool listens = false;
thread_local std::string complaint;

class listener : public dcmtk::log4cplus::Appender
{
  public:
    ~listener() override
    {
        destructorImpl();
    }
    void close() override
    {
    }

  protected:
    void append(const dcmtk::log4cplus::spi::InternalLoggingEvent &event) override
    {
        if (listens && complaint.empty())
            complaint = event.getMessage().c_str();
    }
};

/* Once, before anything else of DCMTK: its logger speaks to nobody but the listener, and its codecs
 * are there. */
bool set_up()
{
    OFLog::configure(OFLogger::WARN_LOG_LEVEL);
    dcmtk::log4cplus::Logger root = dcmtk::log4cplus::Logger::getRoot();
    root.removeAllAppenders();
    root.addAppender(dcmtk::log4cplus::SharedAppenderPtr(new listener));
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
    DcmRLEDecoderRegistration::registerCodecs();
    return true;
}

void ensure_set_up()
{
    static const bool done = set_up();
    (void)done;
}

/* ---- helpers ---- */

void tell(char why[DICOM_WHY_BYTES], const char *reason)
{
    snprintf(why, DICOM_WHY_BYTES, "%.*s", DICOM_WHY_BYTES - 1, reason);
    why[strcspn(why, "\n")] = '\0';
}

DcmTagKey key_of(uint32_t tag)
{
    return DcmTagKey(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xFFFF));
}

/* DCMTK's finders are not const. */
DcmItem *item_of(const dicom_item *item)
{
    return reinterpret_cast<DcmItem *>(const_cast<dicom_item *>(item));
}

const dicom_item *item_from(DcmItem *item)
{
    return reinterpret_cast<const dicom_item *>(item);
}

bool is_ascii(const OFString &text)
{
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x80 || c == '\033')
            return false;
    return true;
}

/* By Specific Character Set (0008,0005); as it is where that cannot be done. */
OFString to_utf8(const dicom_set *set, const OFString &text)
{
    OFString charset;
    OFString converted;
    DcmSpecificCharacterSet converter;
    if (is_ascii(text))
        return text;
    DcmDataset &data = const_cast<dicom_set *>(set)->data;
    data.findAndGetOFStringArray(DCM_SpecificCharacterSet, charset);
    if (converter.selectCharacterSet(charset).bad())
        return text;
    if (converter.convertString(text, converted, "\\^=").bad())
        return text;
    return converted;
}

/* ---- behind the C functions, which catch ---- */

bool open_set(const uint8_t *data, size_t bytes, const char *transfer, dicom_set **out,
              char why[DICOM_WHY_BYTES])
{
    ensure_set_up();
    if (!dcmDataDict.isDictionaryLoaded()) {
        tell(why, "DCMTK's data dictionary is not found (DCMDICTPATH)");
        return false;
    }
    E_TransferSyntax syntax = DcmXfer(transfer).getXfer();
    if (strcmp(transfer, UID_DeflatedExplicitVRLittleEndianTransferSyntax) == 0)
        syntax = EXS_LittleEndianExplicit; /* the layout has inflated it */
    std::unique_ptr<dicom_set> set(new dicom_set);
    DcmInputBufferStream stream;
    stream.setBuffer(data, static_cast<offile_off_t>(bytes));
    stream.setEos();
    set->data.transferInit();
    const OFCondition read = set->data.read(stream, syntax, EGL_noChange);
    set->data.transferEnd();
    if (read.bad()) {
        tell(why, read.text());
        return false;
    }
    *out = set.release();
    return true;
}

bool decode_set(dicom_set *set, char why[DICOM_WHY_BYTES])
{
    const OFCondition decoded = set->data.chooseRepresentation(EXS_LittleEndianExplicit, nullptr);
    if (decoded.good() && complaint.empty())
        return true;
    tell(why, decoded.bad() ? decoded.text() : complaint.c_str());
    return false;
}

bool get_text(const dicom_set *set, const dicom_item *in, uint32_t tag, char *out, size_t bytes)
{
    OFString text;
    const OFCondition found = item_of(in)->findAndGetOFStringArray(key_of(tag), text);
    if (found.bad() || text.empty())
        return false;
    const OFString utf8 = to_utf8(set, text);
    snprintf(out, bytes, "%s", utf8.c_str());
    return *out != '\0';
}

bool get_number(const dicom_item *in, uint32_t tag, double *out)
{
    DcmElement *element = nullptr;
    Uint16 whole = 0;
    Sint32 text = 0;
    Float64 real = 0;
    if (item_of(in)->findAndGetElement(key_of(tag), element).bad() || !element)
        return false;
    if (element->getFloat64(real).good())
        *out = real;
    else if (element->getUint16(whole).good())
        *out = whole;
    else if (element->getSint32(text).good())
        *out = text;
    else
        return false;
    return true;
}

size_t get_words(const dicom_item *in, uint32_t tag, const uint16_t **out, bool *is_signed)
{
    DcmElement *element = nullptr;
    Uint16 *words = nullptr;
    Sint16 *numbers = nullptr;
    if (item_of(in)->findAndGetElement(key_of(tag), element).bad() || !element)
        return 0;
    const size_t count = element->getLength() / sizeof *words;
    *is_signed = element->ident() == EVR_SS;
    if (*is_signed) {
        if (element->getSint16Array(numbers).bad() || !numbers)
            return 0;
        *out = reinterpret_cast<const uint16_t *>(numbers);
        return count;
    }
    if (element->getUint16Array(words).bad() || !words)
        return 0;
    *out = words;
    return count;
}

size_t get_pixels(dicom_set *set, int unit_bytes, const void **out)
{
    DcmElement *element = nullptr;
    Uint8 *bytes = nullptr;
    Uint16 *words = nullptr;
    if (set->data.findAndGetElement(DCM_PixelData, element).bad() || !element)
        return 0;
    if (unit_bytes == 1 && element->getUint8Array(bytes).good())
        *out = bytes;
    else if (unit_bytes == 2 && element->getUint16Array(words).good())
        *out = words;
    else
        return 0;
    return *out ? element->getLength() : 0;
}

/* What a function that may throw gives, or `failed`. */
template <typename Result, typename Function> Result guarded(Result failed, Function function)
{
    try {
        return function();
    } catch (...) {
        return failed;
    }
}

/* The same, where there is a reason to give. */
template <typename Function> bool guarded_with_reason(char *why, Function function)
{
    try {
        return function();
    } catch (const std::exception &thrown) {
        tell(why, thrown.what());
    } catch (...) {
        tell(why, "DCMTK failed");
    }
    return false;
}

} // namespace

/* ---- C ---- */

const char *dicom_set_library(void)
{
    return "DCMTK " OFFIS_DCMTK_VERSION_STRING;
}

bool dicom_set_open(const uint8_t *data, size_t bytes, const char *transfer, dicom_set **out,
                    char why[DICOM_WHY_BYTES])
{
    return guarded_with_reason(why, [&] { return open_set(data, bytes, transfer, out, why); });
}

void dicom_set_close(dicom_set *set)
{
    guarded(false, [&] {
        delete set;
        return true;
    });
}

const dicom_item *dicom_set_root(const dicom_set *set)
{
    return item_from(&const_cast<dicom_set *>(set)->data);
}

const dicom_item *dicom_set_first(const dicom_item *in, uint32_t sequence)
{
    const dicom_item *none = nullptr;
    return guarded(none, [&] {
        DcmItem *first = nullptr;
        const OFCondition found = item_of(in)->findAndGetSequenceItem(key_of(sequence), first, 0);
        return found.good() ? item_from(first) : none;
    });
}

bool dicom_set_text(const dicom_set *set, const dicom_item *in, uint32_t tag, char *out,
                    size_t bytes)
{
    *out = '\0';
    return guarded(false, [&] { return get_text(set, in, tag, out, bytes); });
}

bool dicom_set_number(const dicom_item *in, uint32_t tag, double *out)
{
    return guarded(false, [&] { return get_number(in, tag, out); });
}

size_t dicom_set_words(const dicom_item *in, uint32_t tag, const uint16_t **out, bool *is_signed)
{
    const size_t none = 0;
    return guarded(none, [&] { return get_words(in, tag, out, is_signed); });
}

bool dicom_set_decode(dicom_set *set, char why[DICOM_WHY_BYTES])
{
    listens = true;
    complaint.clear();
    const bool decoded = guarded_with_reason(why, [&] { return decode_set(set, why); });
    listens = false;
    return decoded;
}

size_t dicom_set_pixels(dicom_set *set, int unit_bytes, const void **out)
{
    const size_t none = 0;
    return guarded(none, [&] { return get_pixels(set, unit_bytes, out); });
}
