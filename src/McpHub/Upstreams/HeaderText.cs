using System.Text;

namespace McpHub.Upstreams;

/// <summary>Names in HTTP headers (specification 2026-07-28, basic/transports): plain visible ASCII as it is, all else as <c>=?base64?…?=</c>.</summary>
internal static class HeaderText
{
    public static string Encode(string text)
    {
        foreach (var c in text)
        {
            if (c is < '!' or > '~')
            {
                return $"=?base64?{Convert.ToBase64String(Encoding.UTF8.GetBytes(text))}?=";
            }
        }
        return text.StartsWith("=?", StringComparison.Ordinal) ? $"=?base64?{Convert.ToBase64String(Encoding.UTF8.GetBytes(text))}?=" : text;
    }
}
