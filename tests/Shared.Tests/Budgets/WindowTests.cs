using CsCheck;
using Shared.Budgets;

namespace Shared.Tests.Budgets;

public class WindowTests
{
    private static readonly string[] zones = ["Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo", "Australia/Lord_Howe", "America/Sao_Paulo"];

    [Theory]
    [InlineData("Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")] // 23 hours
    [InlineData("Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")] // 25 hours
    [InlineData("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")] // the first moment
    [InlineData("Europe/Berlin", "2026-10-25T23:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z")] // the next day's first
    [InlineData("America/Havana", "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z")] // midnight comes twice
    [InlineData("Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z")] // midnight does not exist
    [InlineData("Asia/Kathmandu", "2026-11-22T12:00:00Z", "2026-11-21T18:15:00Z", "2026-11-22T18:15:00Z")]
    [InlineData("UTC", "2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z")]
    public void BoundsAt_Day_BeginsAndEndsAtTheZonesMidnight(string zone, string moment, string start, string end) =>
        AssertBounds(CalendarUnit.Day, zone, moment, start, end);

    [Theory]
    [InlineData("2026-11-22T22:59:59Z", "2026-11-15T23:00:00Z", "2026-11-22T23:00:00Z")] // Sunday
    [InlineData("2026-11-22T23:00:00Z", "2026-11-22T23:00:00Z", "2026-11-29T23:00:00Z")] // Monday
    [InlineData("2026-03-25T12:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z")] // with the change of clocks in it
    public void BoundsAt_Week_BeginsOnMonday(string moment, string start, string end) => AssertBounds(CalendarUnit.Week, "Europe/Berlin", moment, start, end);

    [Theory]
    [InlineData("2026-10-31T22:59:59Z", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z")]
    [InlineData("2028-02-29T12:00:00Z", "2028-01-31T23:00:00Z", "2028-02-29T23:00:00Z")]
    [InlineData("2026-12-31T23:30:00Z", "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z")]
    public void BoundsAt_Month_BeginsOnItsFirst(string moment, string start, string end) => AssertBounds(CalendarUnit.Month, "Europe/Berlin", moment, start, end);

    [Fact]
    public void BoundsAt_Hour_IsTheUtcHour() => AssertBounds(CalendarUnit.Hour, "Asia/Kathmandu", "2026-11-22T12:34:56Z", "2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z");

    [Fact]
    public void BoundsAt_AnyMomentZoneAndUnit_HoldTheMomentAndTileTheTime() =>
        Gen.Select(Gen.Long[0, 40L * 365 * 24 * 60], Gen.Int[0, 5].Select(i => zones[i]), Gen.Enum<CalendarUnit>())
            .Sample((minutes, zone, unit) =>
            {
                var window = Window.Aligned(unit, TimeZoneInfo.FindSystemTimeZoneById(zone));
                var moment = new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero).AddMinutes(minutes);
                var (start, end) = window.BoundsAt(moment);
                Assert.True(start <= moment && moment < end);
                Assert.Equal((start, end), window.BoundsAt(start));
                Assert.Equal((start, end), window.BoundsAt(end.AddTicks(-1)));
                Assert.Equal(end, window.BoundsAt(end).Start);
            }, iter: 5_000);

    [Theory]
    [InlineData(0.5)]
    [InlineData(367L * 24 * 3600)]
    public void Rolling_LengthOutOfRange_Throws(double seconds) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => Window.Rolling(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void BoundsAt_RollingWindow_Throws() =>
        Assert.Throws<InvalidOperationException>(() => Window.Rolling(TimeSpan.FromHours(1)).BoundsAt(DateTimeOffset.UnixEpoch));

    private static void AssertBounds(CalendarUnit unit, string zone, string moment, string start, string end) =>
        Assert.Equal((DateTimeOffset.Parse(start), DateTimeOffset.Parse(end)), Window.Aligned(unit, TimeZoneInfo.FindSystemTimeZoneById(zone)).BoundsAt(DateTimeOffset.Parse(moment)));
}
