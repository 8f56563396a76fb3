using System.Text.Json;
using Gateway.Commands;
using Shared.Pricing;

namespace Gateway.Admin;

/// <summary><c>GET /admin/v1/catalog</c>: the prices that calls are charged at, wherever they come from.</summary>
internal static class CatalogEndpoint
{
    public static Task ListAsync(HttpContext context)
    {
        var (provider, search) = (context.Text("provider"), context.Text("search"));
        var prices = context.Snapshot().Prices;
        var names = prices.Names().Where(name => (provider is null || name.Provider == provider) && (search is null || IdOf(name).Contains(search, StringComparison.OrdinalIgnoreCase)));
        // Only those of the page are looked up: the catalog has thousands.
        return AdminJson.WritePageAsync(context, "prices", context.Page(names, IdOf), (json, name) => Write(json, name, prices.Find(name.Provider, name.Model)!));
    }

    private static string IdOf((string Provider, string Model) name) => $"{name.Provider}/{name.Model}";

    private static void Write(Utf8JsonWriter json, (string Provider, string Model) name, ModelPrice price)
    {
        json.WriteStartObject();
        json.WriteString("id", IdOf(name));
        PriceJson.Write(json, name.Provider, name.Model, price);
        json.WriteEndObject();
    }
}
