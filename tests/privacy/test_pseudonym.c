/* Keys: made once, read by their owner alone. Pseudonyms: against values of Python's hmac, apart by
 * kind, and back to names. */
#include "scratch.h"

#include <stdbool.h>
#include <sys/stat.h>

#include "pulmo/file.h"
#include "pulmo/image.h"
#include "pulmo/pseudonym.h"

static int set_up(void **state)
{
    (void)state;
    return open_scratch("at/home/key");
}

/* The key 00 01 02 ... 1f. */
static pulmo_pseudonym_key known_key(void)
{
    pulmo_pseudonym_key key;
    for (size_t i = 0; i < sizeof key.bytes; i++)
        key.bytes[i] = (uint8_t)i;
    return key;
}

static void test_key_is_made_once(void **state)
{
    pulmo_pseudonym_key first, again, other;
    struct stat about;
    char name[PULMO_KEY_NAME], other_name[PULMO_KEY_NAME];
    (void)state;
    assert_refused(pulmo_pseudonym_key_read(path, false, &first), PULMO_CONFIG, "there is no key");
    assert_ok(pulmo_pseudonym_key_read(path, true, &first));
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(about.st_size, 65);
    assert_ok(pulmo_pseudonym_key_read(path, true, &again));
    assert_memory_equal(&first, &again, sizeof first);
    assert_int_equal(remove(path), 0);
    assert_ok(pulmo_pseudonym_key_read(path, true, &other));
    assert_memory_not_equal(&first, &other, sizeof first);
    assert_ok(pulmo_pseudonym_key_name(&first, name));
    assert_ok(pulmo_pseudonym_key_name(&other, other_name));
    assert_int_equal(strlen(name), 16);
    assert_string_not_equal(name, other_name);
}

static void test_key_of_others(void **state)
{
    static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0610, 0601};
    pulmo_pseudonym_key key;
    (void)state;
    assert_ok(pulmo_pseudonym_key_read(path, true, &key));
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        assert_int_equal(chmod(path, open_modes[i]), 0);
        assert_refused(pulmo_pseudonym_key_read(path, true, &key), PULMO_CONFIG, "has mode 06");
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_ok(pulmo_pseudonym_key_read(path, false, &key));
    assert_refused(pulmo_pseudonym_key_read(directory, true, &key), PULMO_CONFIG, "is a file");
}

static void refuse_text(const char *text)
{
    pulmo_pseudonym_key key;
    assert_ok(pulmo_file_write(path, text, strlen(text)));
    assert_int_equal(chmod(path, 0600), 0);
    assert_refused(pulmo_pseudonym_key_read(path, true, &key), PULMO_CONFIG, "64 hexadecimal");
}

static void test_what_is_no_key(void **state)
{
    static const char half[] = "000102030405060708090a0b0c0d0e0f";
    pulmo_pseudonym_key key;
    const pulmo_pseudonym_key wanted = known_key();
    (void)state;
    assert_ok(pulmo_pseudonym_key_read(path, true, &key));
    refuse_text("");
    refuse_text(half);
    refuse_text("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g\n");
    refuse_text("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00\n");
    const char whole[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\r\n";
    assert_ok(pulmo_file_write(path, whole, strlen(whole)));
    assert_int_equal(chmod(path, 0600), 0);
    assert_ok(pulmo_pseudonym_key_read(path, false, &key));
    assert_memory_equal(&key, &wanted, sizeof key);
}

static void assert_place(const char *given, const char *wanted)
{
    char *place = NULL;
    assert_ok(pulmo_pseudonym_key_place(given, &place));
    assert_string_equal(place, wanted);
    free(place);
}

static void test_places(void **state)
{
    char *place = NULL;
    (void)state;
    setenv("HOME", "/home/anna", 1);
    setenv("XDG_CONFIG_HOME", "/settings", 1);
    assert_place("mine.key", "mine.key");
    assert_place("", "/settings/pulmo/pseudonyms.key");
    setenv("XDG_CONFIG_HOME", "", 1);
    assert_place("", "/home/anna/.config/pulmo/pseudonyms.key");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("HOME");
    assert_refused(pulmo_pseudonym_key_place("", &place), PULMO_CONFIG, "pack.key_file");
}

/* hmac.new(bytes(range(32)), b"pulmo patient\0p1", "sha256").hexdigest()[:32], and so on. */
static void test_values(void **state)
{
    static const char *const wanted[] = {
        "f68c04f5449f281f7518a4db29a54a4d",
        "ac52d5b2dc4b1fad25968d4618a5b335",
        "916a48a16b4cfb1c90d008e4e9b6fdc9",
        "c0c99892c269a1aec2d0953d0bd643fa",
    };
    const pulmo_pseudonym_key key = known_key();
    char hidden[PULMO_PSEUDONYM];
    (void)state;
    for (int kind = PULMO_NAME_PATIENT; kind <= PULMO_NAME_TIME; kind++) {
        assert_ok(pulmo_pseudonym_of(&key, (pulmo_name_kind)kind, "p1 and more", 2, hidden));
        assert_string_equal(hidden, wanted[kind]);
    }
}

static void test_endings(void **state)
{
    (void)state;
    assert_string_equal(pulmo_image_suffix("A/smith.JPEG"), ".JPEG");
    assert_string_equal(pulmo_image_suffix("a.dcm"), ".dcm");
    assert_string_equal(pulmo_image_suffix("scan.Smith"), "");
    assert_string_equal(pulmo_image_suffix("1.2.840.113619"), "");
    assert_string_equal(pulmo_image_suffix("a.png/film"), "");
}

static void assert_revealed(const pulmo_pseudonyms *names, const char *text, const char *wanted)
{
    char *shown = pulmo_pseudonyms_reveal(names, text);
    assert_string_equal(shown, wanted);
    free(shown);
}

static void test_the_way_back(void **state)
{
    const pulmo_pseudonym_key key = known_key();
    pulmo_pseudonyms *names = NULL;
    char file[PULMO_PSEUDONYM], patient[PULMO_PSEUDONYM], text[200];
    (void)state;
    assert_ok(pulmo_pseudonyms_create(&key, &names));
    assert_null(pulmo_pseudonyms_find(names, "00000000000000000000000000000000"));
    assert_ok(pulmo_pseudonyms_add(names, PULMO_NAME_PATH, "A/smith 1.jpg", 13, file));
    assert_ok(pulmo_pseudonyms_add(names, PULMO_NAME_PATIENT, "smith 1", 5, patient));
    pulmo_pseudonyms_sort(names);
    snprintf(text, sizeof text, "%s.jpg", file);
    assert_string_equal(pulmo_pseudonyms_find(names, text), "A/smith 1.jpg");
    assert_string_equal(pulmo_pseudonyms_find(names, patient), "smith");
    assert_null(pulmo_pseudonyms_find(names, "smith"));
    assert_null(pulmo_pseudonyms_find(names, "00000000000000000000000000000000"));
    snprintf(text, sizeof text, "patient %s: %s.jpg is bad (%s)", patient, file, patient);
    assert_revealed(names, text, "patient smith: A/smith 1.jpg is bad (smith)");
    /* Longer runs of digits, such as a digest, are none. */
    snprintf(text, sizeof text, "0%s %s0 a-b", file, file);
    assert_revealed(names, text, text);
    assert_revealed(names, "", "");
    pulmo_pseudonyms_destroy(names);
    pulmo_pseudonyms_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_key_is_made_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_key, set_up, tear_down),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_the_way_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
